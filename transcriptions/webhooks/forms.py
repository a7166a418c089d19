"""What people fill in about their webhooks."""

from __future__ import annotations

from django import forms
from django.core.validators import URLValidator

from transcriptions.webhooks.models import EventType

web_address = URLValidator(schemes=["https", "http"])


class EndpointForm(forms.Form):
    """A new endpoint."""

    url = forms.CharField(
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
