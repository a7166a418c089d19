"""What people fill in about their webhooks."""

from __future__ import annotations

import httpx
from django import forms
from django.core.validators import URLValidator

from transcriptions.webhooks.models import EventType

web_address = URLValidator(schemes=["https", "http"])


class AddressField(forms.CharField):
    """An address as it is sent: names in Punycode, everything else percent-encoded."""

    def to_python(self, value: object) -> str:
        """Raises ValidationError."""
        given = super().to_python(value) or ""
        try:
            url = httpx.URL(given)
        except httpx.InvalidURL:
            raise forms.ValidationError("Enter a valid URL.") from None
        if url.userinfo:
            message = "Leave name and password out: messages are signed with a secret instead."
            raise forms.ValidationError(message)
        if url.port is not None and not 0 < url.port < 65536:
            raise forms.ValidationError("There is no such port: they go from 1 to 65535.")
        return str(url.copy_with(fragment=None))


class EndpointForm(forms.Form):
    """A new endpoint."""

    url = AddressField(
        max_length=500,
        label="Address",
        validators=[web_address],
        widget=forms.URLInput(attrs={"placeholder": "https://example.com/hooks"}),
        help_text="Where we POST to. It answers with 2xx within 15 seconds.",
    )
    events = forms.MultipleChoiceField(
        choices=EventType.choices,
        initial=EventType.values,
        widget=forms.CheckboxSelectMultiple,
        label="When",
        error_messages={"required": "Choose at least one event."},
    )
