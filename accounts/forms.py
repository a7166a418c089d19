"""What people fill in on their settings pages."""

from __future__ import annotations

from typing import Any

from allauth.account.forms import SignupForm as AllauthSignupForm
from allauth.core import context
from django import forms
from django.core.exceptions import ValidationError

from accounts.invitations import invitation_in_session
from accounts.models import Scope
from accounts.text import validate_display_name

EXPIRY = {"": "Never", "30": "After 30 days", "90": "After 90 days", "365": "After a year"}


class TokenForm(forms.Form):
    """A new API token."""

    name = forms.CharField(
        max_length=100, label="Name", help_text="What it is for, so that you can tell it apart."
    )
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices,
        initial=Scope.values,
        widget=forms.CheckboxSelectMultiple,
        label="It may",
        error_messages={"required": "Choose at least one thing that it may do."},
    )
    expiry = forms.ChoiceField(choices=list(EXPIRY.items()), required=False, label="Expires")

    monthly_minutes = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=1_000_000,
        label="Minutes of audio a month",
        help_text="At the most; leave it empty, and it may use all that you have.",
    )

    def clean_name(self) -> str:
        """Raises ValidationError."""
        try:
            return validate_display_name(self.cleaned_data["name"])
        except ValueError:
            raise ValidationError("Give it a name that can be seen.") from None

    def clean_expiry(self) -> int | None:
        """Days, or None for never."""
        value: Any = self.cleaned_data["expiry"]
        return int(value) if value else None


class SignupForm(AllauthSignupForm):  # type: ignore[misc]
    """Who follows an invitation comes with the address that was invited."""

    def clean_email(self) -> str:
        """Raises ValidationError."""
        email: str = super().clean_email()
        invitation = invitation_in_session(context.request)
        if invitation and email.lower() != invitation.email:
            raise ValidationError(f"This invitation is for {invitation.email} alone.")
        return email
