"""The fields of a transcription request, read as OpenAI reads them.

Clients send empty strings for what they leave out, lists under several names, and fields that only
some models or formats use. None of that is an error; only a value that nobody can understand is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from django.http import QueryDict
from django.utils.translation import gettext as _

from transcriptions.api.openai.errors import InvalidParameter
from transcriptions.api.openai.models import check_model
from transcriptions.uploads.params import MAX_PROMPT_CHARS, TaskName, UploadParams, split_keywords
from transcriptions.uploads.service import UploadRefused, check_language

FORMATS = ("json", "text", "srt", "verbose_json", "vtt", "diarized_json")
GRANULARITIES = ("word", "segment")
INCLUDES = ("logprobs",)
BOOLEANS = {"true": True, "1": True, "yes": True, "on": True}
BOOLEANS |= {"": False, "false": False, "0": False, "no": False, "off": False}

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class TranscriptionParams:
    """The fields that have an effect. `language` is empty to detect it."""

    model: str
    language: str
    prompt: str
    keywords: tuple[str, ...]
    response_format: str
    is_stream: bool
    task: TaskName
    granularities: tuple[str, ...]
    has_logprobs: bool

    @classmethod
    def from_form(cls, form: QueryDict, task: TaskName = "transcribe") -> TranscriptionParams:
        """Raises InvalidParameter."""
        model = _text(form, "model")
        check_model(model)
        _parsed(form, "temperature", _temperature)
        return cls(
            model=model,
            language=_language(form),
            prompt=_text(form, "prompt")[-MAX_PROMPT_CHARS:],  # as OpenAI, which uses its end
            keywords=_keywords(form),
            response_format=_parsed(form, "response_format", _format),
            is_stream=_parsed(form, "stream", _boolean),
            task=task,
            granularities=_choices(form, "timestamp_granularities", GRANULARITIES) or ("segment",),
            has_logprobs="logprobs" in _choices(form, "include", INCLUDES),
        )

    @property
    def upload(self) -> UploadParams:
        """The fields that every upload has."""
        keywords = list(self.keywords)
        return UploadParams(
            language=self.language, prompt=self.prompt, keywords=keywords, task=self.task
        )


def _text(form: QueryDict, name: str) -> str:
    return str(form.get(name, "")).strip()


def _parsed(form: QueryDict, name: str, parse: Callable[[str], Value]) -> Value:
    """The value that `parse` makes of a field. Raises InvalidParameter where it raises ValueError
    with what is allowed."""
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


def _language(form: QueryDict) -> str:
    """The language to recognize. Of several candidates (`languages`), the engine detects one."""
    if _text(form, "language"):
        return _code(_text(form, "language"), "language")
    candidates = {_code(value, "languages") for value in list_values(form, "languages")}
    return candidates.pop() if len(candidates) == 1 else ""


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
    items: object = value.split(",")
    if value.startswith("["):
        with suppress(ValueError):
            items = json.loads(value)
    for item in items if isinstance(items, list) else ():
        if text := str(item).strip():
            yield text
