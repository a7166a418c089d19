"""Parameters of an upload."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import Field, field_validator

from accounts.models import User
from accounts.schemas import Body
from transcriptions.models import Options, Priority
from transcriptions.uploads.speakers import FIELDS as SPEAKER_FIELDS
from transcriptions.uploads.speakers import SpeakerParams

PriorityName = Literal["", "interactive", "batch"]
ChannelsName = Literal["", "mix", "separate"]
TaskName = Literal["", "transcribe", "translate"]
MAX_TRACK = 999
MAX_BYTES = 2**53  # larger numbers are not exact in JavaScript
MAX_PROMPT_CHARS = 1_000
MAX_KEYWORDS, MAX_KEYWORD_CHARS = 200, 100
MAX_LANGUAGES, MAX_LANGUAGE_CHARS = 100, 100
LanguageName = Annotated[str, Field(max_length=MAX_LANGUAGE_CHARS)]


def split_languages(texts: Iterable[str]) -> list[str]:
    """Each language once, from texts with languages that are separated like keywords. Raises
    ValueError."""
    return _split(texts, "languages", MAX_LANGUAGES, MAX_LANGUAGE_CHARS)


def split_keywords(texts: Iterable[str]) -> list[str]:
    """Each keyword once, from texts with keywords that are separated by commas or line breaks.
    Raises ValueError."""
    return _split(texts, "keywords", MAX_KEYWORDS, MAX_KEYWORD_CHARS)


def _split(texts: Iterable[str], what: str, most: int, most_chars: int) -> list[str]:
    parts = (" ".join(part.split()) for text in texts for part in re.split(r"[,\n]", text))
    found = list(dict.fromkeys(filter(None, parts)))
    if len(found) > most or any(len(part) > most_chars for part in found):
        raise ValueError(f"at most {most} {what} of {most_chars} characters")
    return found


class UploadParams(SpeakerParams, Schema):
    """Form fields of an upload, or query parameters if the body is the recording itself."""

    language: str = Field(
        default="",
        description="Code such as `en`, or name in English; empty or `auto` to detect it",
    )
    languages: list[str] = Field(
        default_factory=list,
        max_length=MAX_LANGUAGES,
        description="Languages that may be spoken, if the language is detected; repeat the field, "
        "or separate them by commas",
    )
    title: str = Field(default="", max_length=255, description="Default: the name of the file")
    priority: PriorityName = Field(
        default="",
        description="`batch` recordings wait for `interactive` ones, which is the default",
    )

    prompt: str = Field(
        default="",
        max_length=MAX_PROMPT_CHARS,
        description="Text in the style of the recording, including names and terms",
    )
    keywords: list[str] = Field(
        default_factory=list,
        max_length=MAX_KEYWORDS,
        description="Names and terms that may be spoken; repeat the field, or separate them by "
        "commas",
    )

    channels: ChannelsName = Field(
        default="",
        description="`separate` transcribes each channel separately: words then have a "
        "`channel`. `mix` is the default",
    )
    track: int | None = Field(
        default=None,
        ge=0,
        le=MAX_TRACK,
        description="Audio track of a video, from 0. Default: the one with speech",
    )

    task: TaskName = Field(
        default="",
        description="`translate` translates into English, if the speech engine can. `transcribe` "
        "is the default",
    )

    @field_validator("track", *SPEAKER_FIELDS, mode="before")
    @classmethod
    def _or_none(cls, value: object) -> object:
        """Forms send an empty text for what is not given."""
        return None if value == "" else value

    _split_languages = field_validator("languages")(split_languages)
    _split_keywords = field_validator("keywords")(split_keywords)

    @property
    def priority_value(self) -> Priority:
        """The priority as it is stored."""
        return Priority[self.priority.upper()] if self.priority else Priority.INTERACTIVE

    def options_of(self, owner: User, languages: Sequence[str] = ()) -> Options:
        """What is stored with the recording: the owner's vocabulary comes after the keywords, and
        the owner's setting decides about speakers if nothing else does. `languages` are the codes
        of the candidates."""
        keywords = dict.fromkeys([*self.keywords, *owner.vocabulary])
        return Options(
            prompt=self.prompt.strip(),
            keywords=tuple(keywords),
            channels=self.channels or "mix",
            track=self.track,
            languages=tuple(languages),
            task=self.task or "transcribe",
            **{"diarize": owner.detect_speakers} | self.speaker_options,
        )

    def __or__(self, other: UploadParams) -> UploadParams:
        """The fields of `self`; those that are empty are taken from `other`."""
        given = {name: value for name, value in self if value or value == 0}
        return UploadParams(**dict(other) | given)


@dataclass(frozen=True, slots=True)
class Changes:
    """What to change when a recording is recognized again: a language (None: unchanged), an audio
    track, and other fields of `Options`."""

    language: str | None = None
    track: int | None = None
    options: tuple[tuple[str, Any], ...] = ()


class DirectUploadIn(Body, SpeakerParams):
    """The recording that will be sent to the storage: its size in bytes, its name, and the
    parameters of every upload."""

    model_config = Body.example(size=20_000_000, name="talk.mp3", language="en", title="A walk")

    size: Annotated[int, Field(ge=0, le=MAX_BYTES)]
    name: Annotated[str, Field(max_length=1000, description="Name of the file")] = ""
    language: Annotated[str, Field(max_length=100, description="Same as in other uploads")] = ""
    languages: Annotated[list[str], Field(max_length=MAX_LANGUAGES)] = []
    title: Annotated[str, Field(max_length=255, description="Default: the name of the file")] = ""
    priority: PriorityName = ""
    prompt: Annotated[str, Field(max_length=MAX_PROMPT_CHARS)] = ""
    keywords: Annotated[list[str], Field(max_length=MAX_KEYWORDS)] = []
    channels: ChannelsName = ""
    track: Annotated[int | None, Field(ge=0, le=MAX_TRACK)] = None
    task: TaskName = ""
    media_type: Annotated[
        str,
        Field(
            max_length=100, description="Media type of the file; only needed if it has no header"
        ),
    ] = ""

    _split_languages = field_validator("languages")(split_languages)
    _split_keywords = field_validator("keywords")(split_keywords)

    @property
    def params(self) -> UploadParams:
        """The parameters of every upload."""
        return UploadParams(**self.model_dump(exclude={"size", "name", "media_type"}))


class RecognizeIn(Body, SpeakerParams):
    """The settings to change this time. All others are the same as before."""

    model_config = Body.example(language="de", keywords=["Ada Lovelace"]) | {"strict": True}

    language: Annotated[
        str | None,
        Field(max_length=100, description="Same as in uploads; empty to detect the language"),
    ] = None
    track: Annotated[
        int | None,
        Field(ge=0, le=MAX_TRACK, description="With another track, no edits are carried over"),
    ] = None
    prompt: Annotated[str | None, Field(max_length=MAX_PROMPT_CHARS)] = None
    keywords: Annotated[list[str] | None, Field(max_length=MAX_KEYWORDS)] = None
    channels: Literal["mix", "separate"] | None = None
    task: Literal["transcribe", "translate"] | None = None

    @field_validator("keywords")
    @classmethod
    def _split(cls, keywords: list[str] | None) -> list[str] | None:
        return None if keywords is None else split_keywords(keywords)

    @property
    def changes(self) -> Changes:
        """The fields that were given."""
        others = {"language", "track", *SPEAKER_FIELDS}
        options = self.model_dump(exclude=others, exclude_none=True) | self.speaker_options
        if self.keywords is not None:
            options["keywords"] = tuple(self.keywords)
        return Changes(self.language, self.track, tuple(options.items()))
