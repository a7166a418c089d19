"""The page with the settings for new transcriptions."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from accounts.authentication import authenticated_user
from accounts.models import User
from transcriptions.uploads.params import MAX_KEYWORD_CHARS, MAX_KEYWORDS, split_keywords


class TranscriptionSettingsForm(forms.Form):
    """Settings for all new recordings of a user."""

    vocabulary = forms.CharField(
        required=False,
        max_length=MAX_KEYWORDS * MAX_KEYWORD_CHARS,
        widget=forms.Textarea(attrs={"rows": 12, "spellcheck": "false", "dir": "auto"}),
        label=_("Vocabulary"),
        help_text=_(
            "Names and terms in your recordings, one per line, spelled as they should appear. "
            "The most important ones first: the speech engine can only use about 50."
        ),
    )

    detect_speakers = forms.BooleanField(
        required=False,
        label=_("Detect speakers"),
        help_text=_("You can choose differently for each upload."),
    )

    def clean_vocabulary(self) -> list[str]:
        """Raises ValidationError for too many or too long ones."""
        try:
            return split_keywords([self.cleaned_data["vocabulary"]])
        except ValueError:
            message = gettext("Enter at most %(number)s terms of up to %(length)s characters.")
            limits = {"number": MAX_KEYWORDS, "length": MAX_KEYWORD_CHARS}
            raise ValidationError(message % limits) from None


@login_required
@require_http_methods(["GET", "POST"])
def transcription_settings(request: HttpRequest) -> HttpResponse:
    """Show the page; POST saves the settings."""
    user = authenticated_user(request)
    posted = request.POST if request.method == "POST" else None
    current = {
        "vocabulary": "\n".join(user.vocabulary),
        "detect_speakers": user.detect_speakers,
    }
    form = TranscriptionSettingsForm(posted, initial=current)
    if request.method == "POST" and form.is_valid():
        User.objects.filter(pk=user.pk).update(**form.cleaned_data)
        messages.success(request, gettext("Settings saved."))
        return redirect("transcription-settings")
    return render(request, "transcriptions/settings.html", {"form": form})
