"""The form of a subtitle profile. Its fields and limits are those of the API."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from transcriptions.exports.user_profiles import NAME_PATTERN, ProfileIn
from transcriptions.models.subtitle_profile import MAX_NAME_CHARS

SECONDS = _("seconds")
# Label, unit and help of each norm.
TEXTS: dict[str, tuple[Any, Any, Any]] = {
    "max_line_chars": (
        _("Length of a line"),
        _("characters"),
        _("A character of Chinese, Japanese or Korean counts as 2.625."),
    ),
    "max_lines": (_("Lines of a subtitle"), "", ""),
    "max_chars_per_second": (_("Reading speed"), _("characters per second"), _("0: no limit")),
    "min_duration": (_("Shortest time on the screen"), SECONDS, ""),
    "max_duration": (_("Longest time on the screen"), SECONDS, ""),
    "min_gap": (_("Gap between two subtitles"), SECONDS, ""),
    "close_gap": (_("Close gaps shorter than"), SECONDS, _("0: gaps stay as they are")),
    "lead_in": (_("Show before the first word"), SECONDS, ""),
    "lead_out": (_("Stay after the last word"), SECONDS, _("Where there is room")),
    "max_pause": (_("New subtitle after a pause of"), SECONDS, ""),
    "two_speakers": (_("A subtitle may have one line from each of two speakers"), "", ""),
    "split_sentences": (_("Each sentence starts a new subtitle"), "", ""),
    "keep_phrases": (_("Avoid line breaks after an article, within a name, and so on"), "", ""),
}
DECIMALS = 3  # shown for Netflix's norms, which are fractions


class ProfileForm(forms.Form):
    """The norms of a profile, and its name if it is new."""

    name = forms.RegexField(
        NAME_PATTERN,
        max_length=MAX_NAME_CHARS,
        label=_("Name"),
        error_messages={"invalid": _("Use letters, digits, spaces, periods, hyphens and “_”.")},
    )

    def __init__(self, *args: Any, is_new: bool, known: Iterable[str] = (), **options: Any) -> None:
        super().__init__(*args, **options)
        self._known = {name.lower() for name in known}
        if not is_new:
            del self.fields["name"]
        for name, info in ProfileIn.model_fields.items():
            self.fields[name] = _norm_field(name, info)

    def clean_name(self) -> str:
        """Raises ValidationError if there is such a profile."""
        name = str(self.cleaned_data["name"])
        if name.lower() in self._known:
            raise forms.ValidationError(
                _("Another profile already has this name. Choose another name.")
            )
        return name

    def clean(self) -> dict[str, Any]:
        """Let ProfileIn validate the values."""
        norms = {name: self.cleaned_data.get(name) for name in ProfileIn.model_fields}
        if not self.errors:
            try:
                self.norms = ProfileIn.model_validate(norms)
            except ValidationError:  # the only rule about two fields
                message = _("It must not be longer than the longest time.")
                self.add_error("min_duration", message)
        return self.cleaned_data


def initial_norms(norms: dict[str, Any]) -> dict[str, Any]:
    """The norms as the form shows them."""
    return {
        name: f"{round(value, DECIMALS):g}" if isinstance(value, float) else value
        for name, value in norms.items()
    }


def _norm_field(name: str, info: FieldInfo) -> forms.Field:
    label, unit, help_text = TEXTS[name]
    if info.annotation is bool:
        return forms.BooleanField(required=False, label=label)
    limits = {
        f"{bound}_value": getattr(each, operator)
        for each in info.metadata
        for bound, operator in (("min", "ge"), ("max", "le"))
        if hasattr(each, operator)
    }
    kind = forms.IntegerField if info.annotation is int else forms.FloatField
    field = kind(label=label, help_text=help_text, **limits)
    field.unit = unit  # type: ignore[attr-defined]
    return field
