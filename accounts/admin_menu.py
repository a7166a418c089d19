"""The menu of the admin site: its pages by subject instead of by the app that defines them."""

from __future__ import annotations

from typing import Any

from django.utils.functional import Promise
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

# The models of each group in order, with a name where the library's own is less clear.
GROUPS: tuple[tuple[str | Promise, dict[str, str | Promise | None]], ...] = (
    (
        _("People"),
        {
            "accounts.User": None,
            "accounts.Invitation": None,
            "auth.Group": None,
            "account.EmailAddress": None,
            "mfa.Authenticator": _("Second factors"),
            "usersessions.UserSession": _("Sessions"),
            "socialaccount.SocialAccount": _("Connected accounts"),
            "socialaccount.SocialApp": _("Sign-in providers"),
            "socialaccount.SocialToken": _("Sign-in provider tokens"),
        },
    ),
    (
        _("Billing"),
        {"accounts.UsageDay": None, "accounts.UsageRecord": None, "accounts.Plan": None},
    ),
    (_("Recordings"), {"transcriptions.Transcription": None, "transcriptions.LiveSession": None}),
    (_("Security"), {"accounts.AuditEvent": None, "accounts.ApiToken": None}),
)
OTHER = _("Other")
NAMES = {label: name for _group, models in GROUPS for label, name in models.items() if name}


def grouped(apps: list[Any]) -> list[Any]:
    """The list of apps that Django's templates show, with a group in place of each app. Models
    without a group form the last one."""
    models = {model["model"]._meta.label: model for app in apps for model in app["models"]}
    groups = []
    for name, members in GROUPS:
        found = [models.pop(label) for label in members if label in models]
        groups.append(_group(name, found))
    groups.append(_group(OTHER, [*models.values()]))
    return [group for group in groups if group["models"]]


def _group(name: str | Promise, models: list[dict[str, Any]]) -> dict[str, Any]:
    for model in models:
        model["name"] = NAMES.get(model["model"]._meta.label, model["name"])
    return {"name": name, "app_label": slugify(str(name)), "app_url": "", "models": models}
