"""The form for a new webhook."""

from __future__ import annotations

from ipaddress import ip_address

import httpx
from django import forms
from django.conf import settings
from django.core.validators import URLValidator
from django.utils.translation import gettext_lazy as _

from transcriptions.webhooks.models import EventType
from transcriptions.webhooks.transport import is_public

MAX_PORT = 65535
validate_http_url = URLValidator(schemes=["https", "http"])


class WebhookURLField(forms.CharField):
    """A URL in the form in which it is requested: host names in Punycode, everything else
    percent-encoded."""

    def to_python(self, value: object) -> str:
        """Raises ValidationError."""
        text = super().to_python(value) or ""
        try:
            url = httpx.URL(text)
        except httpx.InvalidURL:
            raise forms.ValidationError(_("Enter a valid URL.")) from None
        if url.userinfo:
            raise forms.ValidationError(
                _(
                    "Remove the user name and password from the URL. "
                    "Requests are signed with a secret instead."
                )
            )
        if url.port is not None and not 0 < url.port <= MAX_PORT:
            raise forms.ValidationError(_("Enter a port from 1 to 65535."))
        if not settings.WEBHOOK_ALLOW_PRIVATE and _is_private(url.raw_host.decode("ascii")):
            raise forms.ValidationError(_("Enter a URL that can be reached from the Internet."))
        return str(url.copy_with(fragment=None))


def _is_private(host: str) -> bool:
    """Whether `host`, in Punycode, itself shows that it is in a private network. Names are only
    resolved when a request is sent."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return not is_public(ip_address(host))
    except ValueError:
        return False


class EndpointForm(forms.Form):
    """URL and events of a new endpoint."""

    url = WebhookURLField(
        max_length=500,
        label=_("URL"),
        validators=[validate_http_url],
        widget=forms.URLInput(attrs={"placeholder": "https://example.com/hooks"}),
        help_text=_("Must respond with a 2xx status within 15 seconds."),
    )
    events = forms.MultipleChoiceField(
        choices=EventType.choices,
        initial=EventType.values,
        widget=forms.CheckboxSelectMultiple,
        label=_("Events"),
        error_messages={"required": _("Select at least one event.")},
    )
