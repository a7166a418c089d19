"""The browser and the operating system that a User-Agent header names, for the list of sessions."""

from __future__ import annotations

from django import template
from django.utils.translation import gettext as _

register = template.Library()

# The first match counts: Edge and Opera also contain "Chrome", and all of them contain "Safari".
BROWSERS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser/": "Samsung Internet",
    "Firefox/": "Firefox",
    "FxiOS/": "Firefox",
    "CriOS/": "Chrome",
    "Chrome/": "Chrome",
    "Safari/": "Safari",
    "curl/": "curl",
    "python-": "Python",
}
# Android contains "Linux", and iPhones and iPads "Mac OS X".
SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "CrOS": "ChromeOS",
    "Windows": "Windows",
    "Mac OS X": "macOS",
    "Linux": "Linux",
}


@register.filter
def browser(user_agent: str) -> str:
    """ "Firefox on Linux", "Firefox", or "Unknown browser"."""
    name = _first_match(BROWSERS, user_agent) or _("Unknown browser")
    system = _first_match(SYSTEMS, user_agent)
    if not system:
        return name
    return _("%(browser)s on %(system)s") % {"browser": name, "system": system}


def _first_match(names: dict[str, str], user_agent: str) -> str:
    return next((name for mark, name in names.items() if mark in user_agent), "")
