"""Forms of the settings pages and of sign-up."""

from __future__ import annotations

from typing import Any

from allauth.account.forms import SignupForm as AllauthSignupForm
from allauth.core import context
from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.invitations import invitation_in_session
from accounts.models import Scope, User
from accounts.text import validate_display_name

EXPIRATION_DAYS = {
    "": _("No expiration"),
    "30": _("30 days"),
    "90": _("90 days"),
    "365": _("1 year"),
}


class TokenForm(forms.Form):
    """A new API token."""

    name = forms.CharField(
        max_length=100, label=_("Name"), help_text=_("For example, the program that will use it.")
    )
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices,
        initial=Scope.values,
        widget=forms.CheckboxSelectMultiple,
        label=_("Permissions"),
        error_messages={"required": _("Select at least one permission.")},
    )
    expiry = forms.ChoiceField(
        choices=list(EXPIRATION_DAYS.items()), required=False, label=_("Expiration")
    )

    monthly_minutes = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=1_000_000,
        label=_("Optional monthly limit (minutes of audio)"),
        help_text=_("Without a limit, the token can use all the minutes of your plan."),
    )

    def clean_name(self) -> str:
        """Raises ValidationError if the name has no visible character."""
        try:
            return validate_display_name(self.cleaned_data["name"])
        except ValueError:
            raise ValidationError(gettext("Enter a name with a visible character.")) from None

    def clean_expiry(self) -> int | None:
        """Days until the token expires, or None for never."""
        value: Any = self.cleaned_data["expiry"]
        return int(value) if value else None


class SignupForm(AllauthSignupForm):  # type: ignore[misc]
    """Sign-up; with an invitation, only with the invited email address."""

    def clean_email(self) -> str:
        """Raises ValidationError if the invitation is for another address."""
        email: str = super().clean_email()
        invitation = invitation_in_session(context.request)
        if invitation and email.lower() != invitation.email:
            message = gettext("This invitation is only for %(email)s.")
            raise ValidationError(message % {"email": invitation.email})
        return email

    def validate_unique_email(self, email: str) -> str:
        """Checked last: see `clean`."""
        return email

    def clean(self) -> dict[str, Any]:
        """Look the address up only if everything else is valid: nobody can find out whether it has
        an account without creating one."""
        data: dict[str, Any] = super().clean()
        if not self.errors:
            try:
                super().validate_unique_email(data["email"])
            except ValidationError as error:
                self.add_error("email", error)
        return data

    def try_save(self, request: HttpRequest) -> tuple[User | None, HttpResponse | None]:
        """For an existing account, do as much work as for a new one."""
        if self.account_already_exists:
            User().set_password(self.cleaned_data["password1"])
        try:
            with transaction.atomic():
                user, response = super().try_save(request)
        except IntegrityError:
            return None, self._respond_to_slower_request(request)
        return user, response

    def _respond_to_slower_request(self, request: HttpRequest) -> HttpResponse:
        """Respond when another request has created the account since the address was looked up."""
        try:
            super().validate_unique_email(self.cleaned_data["email"])
        except ValidationError as error:
            messages.error(request, error.messages[0])
            return redirect("account_login")
        response: HttpResponse = super().try_save(request)[1]
        return response
