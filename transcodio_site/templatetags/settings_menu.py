"""The menu of the settings pages. A new page is a line in GROUPS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from allauth.socialaccount.templatetags.socialaccount import get_providers
from django import template
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

register = template.Library()

CONNECTED_ACCOUNTS = "socialaccount_connections"
# Headings with the names and labels of pages. The page of a name includes those below its URL.
GROUPS: tuple[tuple[Promise, dict[str, Promise]], ...] = (
    (
        _("Profile"),
        {"account_email": _("Email addresses"), CONNECTED_ACCOUNTS: _("Connected accounts")},
    ),
    (
        _("Security"),
        {
            "account_change_password": _("Password"),
            "mfa_index": _("Two-factor authentication"),
            "usersessions_list": _("Sessions"),
        },
    ),
    (
        _("Transcription"),
        {
            "transcription-settings": _("Defaults and vocabulary"),
            "voices:list": _("Voices"),
            "subtitles:profiles": _("Subtitle profiles"),
        },
    ),
    (
        _("API"),
        {"accounts:tokens": _("API tokens"), "webhooks:endpoints": _("Webhooks")},
    ),
    (
        _("Account"),
        {
            "accounts:usage": _("Usage"),
            "data:settings": _("Privacy"),
            "accounts:activity": _("Activity"),
        },
    ),
)


@dataclass(frozen=True, slots=True)
class Item:
    """A link in the menu."""

    url: str
    label: Promise
    is_current: bool


@register.inclusion_tag("settings/_menu.html", takes_context=True)
def settings_menu(context: dict[str, Any]) -> dict[str, Any]:
    """The groups of links, and the label of the current page."""
    request: HttpRequest = context["request"]
    has_providers = bool(get_providers(context))
    groups = [
        (
            heading,
            [
                _item(name, label, request.path)
                for name, label in pages.items()
                if name != CONNECTED_ACCOUNTS or has_providers
            ],
        )
        for heading, pages in GROUPS
    ]
    current = [item.label for _heading, items in groups for item in items if item.is_current]
    return {"groups": groups, "current": current[0] if current else ""}


def _item(name: str, label: Promise, path: str) -> Item:
    url = reverse(name)
    # Setting a first password, and changing it, are two pages of allauth.
    section = url.removesuffix("change/") if name == "account_change_password" else url
    return Item(url, label, path.startswith(section))
