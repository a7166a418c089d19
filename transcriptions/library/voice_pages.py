"""The settings page of voices. It needs no JavaScript."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from accounts.audit_log import record_event
from accounts.authentication import authenticated_user
from accounts.confirmation import confirmation_page
from accounts.models import Action
from accounts.text import clean_name
from transcriptions import permissions
from transcriptions.exceptions import VoiceRefused
from transcriptions.models.speaker import MAX_NAME_CHARS
from transcriptions.processing.kept_voices import delete_voices, rename_voice


class VoiceForm(forms.Form):
    """The name of a voice."""

    name = forms.CharField(max_length=MAX_NAME_CHARS, label=gettext_lazy("Name"))

    def clean_name(self) -> str:
        """Raises ValidationError if nothing visible is left."""
        name = clean_name(self.cleaned_data["name"])
        if not name:
            raise forms.ValidationError(_("Enter a name."))
        return name


@login_required
@require_GET
def voices(request: HttpRequest) -> HttpResponse:
    """List the voices of the user."""
    own = permissions.voices_of(request.user).with_waiting()
    return render(request, "transcriptions/voices.html", {"voices": own})


@login_required
@require_http_methods(["GET", "POST"])
def rename(request: HttpRequest, voice_id: int) -> HttpResponse:
    """A form with the name of a voice; POST changes it."""
    voice = permissions.voice_for(request.user, voice_id)
    form = VoiceForm(request.POST or None, initial={"name": voice.name})
    if request.method == "POST" and form.is_valid():
        try:
            rename_voice(voice, form.cleaned_data["name"])
        except VoiceRefused as error:
            form.add_error("name", str(error))
        else:
            record_event(request, Action.VOICE, _("Renamed"))
            messages.success(request, _("Voice renamed."))
            return redirect("voices:list")
    status = 400 if form.errors else 200
    context = {"form": form, "voice": voice}
    return render(request, "transcriptions/voice.html", context, status=status)


@login_required
@require_http_methods(["GET", "POST"])
def delete(request: HttpRequest, voice_id: int) -> HttpResponse:
    """Ask whether to delete a voice; POST deletes it."""
    voice = permissions.voice_for(request.user, voice_id)
    if request.method == "POST":
        delete_voices(authenticated_user(request), voice)
        record_event(request, Action.VOICE, _("Deleted"))
        messages.success(request, _("“%(name)s” has been deleted.") % {"name": voice.name})
        return redirect("voices:list")
    return confirmation_page(
        request,
        _("Delete the voice of “%(name)s”?") % {"name": voice.name},
        [_("This person will no longer be recognized. Existing transcripts keep their names.")],
        action=_("Delete"),
        back="voices:list",
    )


@login_required
@require_http_methods(["GET", "POST"])
def delete_all(request: HttpRequest) -> HttpResponse:
    """Ask whether to delete all voices; POST deletes them."""
    if request.method == "POST":
        if delete_voices(authenticated_user(request)):
            record_event(request, Action.VOICE, _("All deleted"))
        messages.success(request, _("All voices have been deleted."))
        return redirect("voices:list")
    return confirmation_page(
        request,
        _("Delete all voices?"),
        [_("Nobody will be recognized by voice. Existing transcripts keep their names.")],
        action=_("Delete"),
        back="voices:list",
    )
