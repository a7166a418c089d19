"""The fields of a transcription request, read as OpenAI reads them.

Clients send empty strings for what they leave out, lists under several names, and fields that only
some models or formats use. None of that is an error; only an invalid value is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from django.http import QueryDict
from django.utils.translation import gettext as _

from gpu.diarization.clustering import MAX_SPEAKERS
from transcriptions.api.openai.errors import InvalidParameter
from transcriptions.api.openai.known_speakers import KnownSpeaker, known_speakers
from transcriptions.api.openai.models import check_model
from transcriptions.uploads.params import (
    MAX_PROMPT_CHARS,
    MAX_TRACK,
    ChannelsName,
    TaskName,
    UploadParams,
    split_keywords,
    split_languages,
)
from transcriptions.uploads.service import UploadRefused, check_language

FORMATS = ("json", "text", "srt", "verbose_json", "vtt", "diarized_json")
GRANULARITIES = ("word", "segment")
INCLUDES = ("logprobs",)
CHANNELS: tuple[ChannelsName, ...] = ("", "mix", "separate")
BOOLEANS = {"true": True, "1": True, "yes": True, "on": True}
BOOLEANS |= {"": False, "false": False, "0": False, "no": False, "off": False}

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class TranscriptionParams:
    """The fields that have an effect. `language` is empty to detect it, among `languages` if there
    are any. `channels`, `track` and those about speakers are our own."""

    model: str
    language: str
    prompt: str
    keywords: tuple[str, ...]
    response_format: str
    is_stream: bool
    task: TaskName
    granularities: tuple[str, ...]
    has_logprobs: bool
    languages: tuple[str, ...]
    channels: ChannelsName
    track: int | None
    diarize: bool | None
    min_speakers: int | None
    max_speakers: int | None
    known_speakers: tuple[KnownSpeaker, ...] = ()  # only if speakers are detected

    @classmethod
    def from_form(cls, form: QueryDict, task: TaskName = "transcribe") -> TranscriptionParams:
        """Raises InvalidParameter."""
        model = _text(form, "model")
        check_model(model)
        _parsed(form, "temperature", _temperature)
        params = cls(
            model=model,
            language=_code(_text(form, "language"), "language"),
            prompt=_text(form, "prompt")[-MAX_PROMPT_CHARS:],  # like OpenAI, which uses its end
            keywords=_keywords(form),
            response_format=_parsed(form, "response_format", _format),
            is_stream=_parsed(form, "stream", _boolean),
            task=task,
            granularities=_choices(form, "timestamp_granularities", GRANULARITIES) or ("segment",),
            has_logprobs="logprobs" in _choices(form, "include", INCLUDES),
            languages=_languages(form),
            channels=_parsed(form, "channels", _channels),
            track=_parsed(form, "track", _track),
            diarize=_parsed(form, "diarize", _optional_boolean),
            min_speakers=_speakers(form, "min_speakers"),
            max_speakers=_speakers(form, "max_speakers"),
        )
        if params.has_speakers:
            return replace(params, known_speakers=known_speakers(form))
        return params

    @property
    def upload(self) -> UploadParams:
        """The fields that every upload has."""
        return UploadParams(
            language=self.language,
            languages=list(self.languages),
            prompt=self.prompt,
            keywords=list(self.keywords),
            task=self.task,
            channels=self.channels,
            track=self.track,
            diarize=self.has_speakers,
            min_speakers=self.min_speakers,
            max_speakers=self.max_speakers,
        )

    @property
    def has_speakers(self) -> bool | None:
        """Whether speakers are detected; None: the account's default. The format with speakers
        implies it."""
        is_format = self.response_format == "diarized_json"
        return True if self.diarize is None and is_format else self.diarize


def _text(form: QueryDict, name: str) -> str:
    return str(form.get(name, "")).strip()


def _parsed(form: QueryDict, name: str, parse: Callable[[str], Value]) -> Value:
    """The value that `parse` makes of a field. Raises InvalidParameter if `parse` raises
    ValueError, whose text says what is allowed."""
    try:
        return parse(_text(form, name))
    except ValueError as error:
        raise _invalid(name, str(error)) from None


def _invalid(name: str, allowed: str) -> InvalidParameter:
    message = _("The parameter %(name)s must be %(allowed)s.") % {"name": name, "allowed": allowed}
    return InvalidParameter(400, "invalid_parameter", message, name)


def _one_of(choices: tuple[str, ...]) -> str:
    return _("one of %(choices)s") % {"choices": ", ".join(choices)}


def _format(value: str) -> str:
    if value and value not in FORMATS:
        raise ValueError(_one_of(FORMATS))
    return value or "json"


def _boolean(value: str) -> bool:
    if value.lower() not in BOOLEANS:
        raise ValueError(_("true or false"))
    return BOOLEANS[value.lower()]


def _optional_boolean(value: str) -> bool | None:
    return _boolean(value) if value else None


def _speakers(form: QueryDict, name: str) -> int | None:
    """A limit for the number of speakers; `speakers` sets both."""
    return _parsed(form, name, _count) or _parsed(form, "speakers", _count)


def _count(value: str) -> int | None:
    if value and not (re.fullmatch(r"[0-9]{1,2}", value) and 1 <= int(value) <= MAX_SPEAKERS):
        raise ValueError(_("a number from 1 to %(highest)s") % {"highest": MAX_SPEAKERS})
    return int(value) if value else None


def _temperature(value: str) -> None:
    """Check it as OpenAI does; the engines choose it themselves."""
    try:
        is_valid = not value or 0 <= float(value) <= 1
    except ValueError:
        is_valid = False
    if not is_valid:
        raise ValueError(_("a number from 0 to 1"))


def _choices(form: QueryDict, name: str, choices: tuple[str, ...]) -> tuple[str, ...]:
    values = list_values(form, name)
    if not {*values} <= {*choices}:
        raise _invalid(name, _one_of(choices))
    return tuple(values)


def _languages(form: QueryDict) -> tuple[str, ...]:
    """The candidate languages, as they were sent."""
    try:
        values = split_languages(list_values(form, "languages"))
    except ValueError as error:
        raise _invalid("languages", str(error)) from None
    for value in values:
        _code(value, "languages")
    return tuple(values)


def _channels(value: str) -> ChannelsName:
    for allowed in CHANNELS:
        if value == allowed:
            return allowed
    raise ValueError(_one_of(CHANNELS[1:]))


def _track(value: str) -> int | None:
    if value and not re.fullmatch(r"[0-9]{1,3}", value):
        raise ValueError(_("a number from 0 to %(highest)s") % {"highest": MAX_TRACK})
    return int(value) if value else None


def _code(value: str, name: str) -> str:
    try:
        return check_language(value)
    except UploadRefused as error:
        raise InvalidParameter(400, error.code, str(error), name) from None


def _keywords(form: QueryDict) -> tuple[str, ...]:
    words = list_values(form, "keywords") or list_values(form, "hotwords")
    try:
        return tuple(split_keywords(words))
    except ValueError as error:
        raise _invalid("keywords", str(error)) from None


def list_values(form: QueryDict, name: str) -> list[str]:
    """The values of a list, in order and without empty ones.

    Clients name its items `name[]`, `name[0]` or `name`, or send one value: a JSON array, or the
    items with commas between them.
    """
    is_item = re.compile(rf"{name}(\[\d*\])?")
    sent = (v for key in form if is_item.fullmatch(key) for v in form.getlist(key))
    return [value for each in sent for value in _items(str(each).strip())]


def _items(value: str) -> Iterator[str]:
    items = value.split(",")
    if value.startswith("["):
        with suppress(ValueError, RecursionError):
            items = [str(item) for item in json.loads(value)]
    for item in items:
        if text := item.strip():
            yield text
