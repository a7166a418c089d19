"""The settings page of one's data: how long they are kept, all of them as a ZIP, and the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from allauth.core import context, ratelimit
from channels.db import database_sync_to_async
from django import forms
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from accounts.audit import Action, note
from accounts.authentication import person
from accounts.models import User
from transcriptions import access
from transcriptions.takeout import everything_of

DAYS = {
    "": "For good",
    "1": "1 day",
    "7": "7 days",
    "30": "30 days",
    "90": "90 days",
    "365": "A year",
}


class SettingsForm(forms.Form):
    """How long things are kept, and what letters are wanted."""

    keep_audio_days = forms.TypedChoiceField(
        choices=[*DAYS.items()], coerce=int, empty_value=None, required=False, label="Audio"
    )
    keep_days = forms.TypedChoiceField(
        choices=[*DAYS.items()],
        coerce=int,
        empty_value=None,
        required=False,
        label="Transcripts, with everything else",
    )
    mail_when_ready = forms.BooleanField(
        required=False, label="Write to me when a transcript that took a while is ready"
    )


class GoodbyeForm(forms.Form):
    """The end of an account is asked for with its password, or its address if it has none."""

    proof = forms.CharField(widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}))

    def __init__(self, user: User, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._user = user
        has_password = user.has_usable_password()
        self.fields["proof"].label = "Your password" if has_password else "Your e-mail address"

    def clean_proof(self) -> str:
        """Raises ValidationError if it is wrong."""
        proof = str(self.cleaned_data["proof"])
        if not ratelimit.consume(context.request, action="reauthenticate", user=self._user):
            raise forms.ValidationError("Too many attempts: wait a minute. Nothing was deleted.")
        known = self._user.has_usable_password()
        right = self._user.check_password(proof) if known else proof.lower() == self._user.email
        if not right:
            raise forms.ValidationError("This is not right. Nothing was deleted.")
        return proof


@login_required
@require_http_methods(["GET", "POST"])
def settings_page(request: HttpRequest) -> HttpResponse:
    """Shows it, and keeps how long things are kept."""
    user = person(request)
    posted = request.POST if request.method == "POST" else None
    form = SettingsForm(posted, initial=_initial(user))
    if request.method == "POST" and form.is_valid():
        User.objects.filter(pk=user.pk).update(**form.cleaned_data)
        messages.success(request, "Kept.")
        return redirect("data:settings")
    return _page(request, form, GoodbyeForm(user))


@login_required
@require_POST
def takeout(request: HttpRequest) -> HttpResponseBase:
    """Everything as a ZIP, which is written while it is sent."""
    note(request, Action.TAKEN_OUT)
    name = f"transcodio-{timezone.now():%Y-%m-%d}.zip"
    return StreamingHttpResponse(
        _in_pieces(everything_of(person(request))),
        content_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@login_required
@require_POST
def goodbye(request: HttpRequest) -> HttpResponse:
    """Deletes the account with every file. What it has used stays in the ledger, by its number."""
    user = person(request)
    form = GoodbyeForm(user, request.POST)
    if not form.is_valid():
        return _page(request, SettingsForm(initial=_initial(user)), form, status=400)
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)  # no recording comes in any more
        for row in access.visible_to(user).defer("spans", "peaks").iterator():
            row.delete()  # one by one: all of them together would lie in memory
        note(request, Action.GOODBYE)
        logout(request)
        user.delete()
    messages.success(request, "Your account and everything in it are gone.")
    return redirect("transcriptions:library")


def _initial(user: User) -> dict[str, Any]:
    return {name: getattr(user, name) for name in SettingsForm.base_fields}


def _page(
    request: HttpRequest, form: SettingsForm, end: GoodbyeForm, status: int = 200
) -> HttpResponse:
    context = {"form": form, "end": end, "longest": person(request).terms.max_keep_days}
    return render(request, "transcriptions/privacy.html", context, status=status)


async def _in_pieces(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The server would otherwise collect a synchronous iterator in memory. Between two pieces no
    database connection is held: a slow reader may take hours."""
    take = database_sync_to_async(lambda: next(pieces, None), thread_sensitive=False)
    while (piece := await take()) is not None:
        if piece:
            yield piece
