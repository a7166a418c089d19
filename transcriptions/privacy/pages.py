"""The privacy page: retention, email settings, data export and account deletion."""

from __future__ import annotations

from copy import copy
from typing import Any

from allauth.core import context, ratelimit
from django import forms
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts import concurrency
from accounts.account_deletion import request_deletion
from accounts.audit_log import record_event
from accounts.authentication import authenticated_user
from accounts.confirmation import confirmation_page
from accounts.models import Action, User
from transcriptions.exports.zip_files import stream
from transcriptions.privacy.export import export_user_data
from transcriptions.privacy.shorter_retention import deletions_of
from transcriptions.usage.retention import RetentionPolicy

RETENTION_CHOICES = [
    ("", _("Keep forever")),
    ("1", _("1 day")),
    ("7", _("7 days")),
    ("30", _("30 days")),
    ("90", _("90 days")),
    ("365", _("1 year")),
]


CONFIRMED = "confirmed"  # in the form: the user has seen what will be deleted


class SettingsForm(forms.Form):
    """Retention and email settings; field names are those of `User`."""

    keep_audio_days = forms.TypedChoiceField(
        choices=RETENTION_CHOICES,
        coerce=int,
        empty_value=None,
        required=False,
        label=_("Audio files"),
    )
    keep_days = forms.TypedChoiceField(
        choices=RETENTION_CHOICES,
        coerce=int,
        empty_value=None,
        required=False,
        label=_("Recordings and transcripts"),
    )
    email_when_ready = forms.BooleanField(
        required=False, label=_("Email me when a long transcription finishes")
    )


class DeleteAccountForm(forms.Form):
    """Asks for the password, or for the email address if the account has no password."""

    proof = forms.CharField(widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}))

    def __init__(self, user: User, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._user = user
        has_password = user.has_usable_password()
        self.fields["proof"].label = _("Password") if has_password else _("Email address")

    def clean_proof(self) -> str:
        """Raises ValidationError if the proof is incorrect, or after too many attempts."""
        proof = str(self.cleaned_data["proof"])
        if not ratelimit.consume(context.request, action="reauthenticate", user=self._user):
            message = _("Too many attempts. Try again in a minute. Nothing was deleted.")
            raise forms.ValidationError(message)
        if self._user.has_usable_password():
            if not self._user.check_password(proof):
                raise forms.ValidationError(_("Incorrect password. Nothing was deleted."))
        elif proof.lower() != self._user.email:
            raise forms.ValidationError(_("Incorrect email address. Nothing was deleted."))
        return proof


@login_required
@require_http_methods(["GET", "POST"])
def settings_page(request: HttpRequest) -> HttpResponse:
    """Show the page; POST saves retention and email settings. A shorter retention is confirmed."""
    user = authenticated_user(request)
    posted = request.POST if request.method == "POST" else None
    form = SettingsForm(posted, initial=_initial(user))
    if request.method == "POST" and form.is_valid():
        deletions = _deletions(user, form.cleaned_data)
        if deletions and CONFIRMED not in request.POST:
            return _confirm_deletions(request, form, deletions)
        User.objects.filter(pk=user.pk).update(**form.cleaned_data)
        messages.success(request, gettext("Settings saved."))
        return redirect("data:settings")
    return _page(request, form, DeleteAccountForm(user))


def _deletions(user: User, changes: dict[str, Any]) -> list[str]:
    changed = copy(user)
    for name, value in changes.items():
        setattr(changed, name, value)
    return deletions_of(user, RetentionPolicy.of(user), RetentionPolicy.of(changed))


def _confirm_deletions(
    request: HttpRequest, form: SettingsForm, deletions: list[str]
) -> HttpResponse:
    posted = {name: request.POST[name] for name in form.fields if name in request.POST}
    return confirmation_page(
        request,
        gettext("Delete older recordings?"),
        [*deletions, gettext("You cannot undo this.")],
        action=gettext("Save and delete"),
        back="data:settings",
        fields=posted | {CONFIRMED: "1"},
    )


@login_required
@require_POST
def export_data(request: HttpRequest) -> HttpResponseBase:
    """Send all data of the user as a ZIP file, which is generated while it is sent.

    Raises TooManyParallel.
    """
    user = authenticated_user(request)
    sent = concurrency.exports.hold_while_sent(user, stream(export_user_data(user)))
    record_event(request, Action.DATA_EXPORTED)
    name = f"transcodio-{timezone.now():%Y-%m-%d}.zip"
    return StreamingHttpResponse(
        sent,
        content_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@login_required
@require_POST
def delete_account(request: HttpRequest) -> HttpResponse:
    """Start the deletion of the account with all rows and files, and sign out everywhere."""
    user = authenticated_user(request)
    form = DeleteAccountForm(user, request.POST)
    if not form.is_valid():
        return _page(request, SettingsForm(initial=_initial(user)), form, status=400)
    request_deletion(user, request)
    logout(request)
    message = gettext(
        "Your account is being deleted. You are signed out on all devices. "
        "We will send you an email when all your data has been deleted."
    )
    messages.success(request, message)
    return redirect("transcriptions:library")


def _initial(user: User) -> dict[str, Any]:
    return {name: getattr(user, name) for name in SettingsForm.base_fields}


def _page(
    request: HttpRequest, form: SettingsForm, delete_form: DeleteAccountForm, status: int = 200
) -> HttpResponse:
    context = {
        "form": form,
        "delete_form": delete_form,
        "longest": authenticated_user(request).effective_plan.max_keep_days,
    }
    return render(request, "transcriptions/privacy.html", context, status=status)
