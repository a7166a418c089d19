"""The settings of a Realtime transcription session, in OpenAI's format.

Settings that a client leaves out keep their values. Settings that we cannot use, such as noise
reduction, are accepted and have no effect; only an invalid value is an error.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from django.utils.translation import gettext as _
from pydantic import BaseModel, Field, ValidationError, field_validator

from transcriptions.api.openai.errors import InvalidParameter
from transcriptions.api.openai.models import check_model
from transcriptions.live.sessions import MAX_RATE_HZ, MIN_RATE_HZ, LiveParams
from transcriptions.uploads.params import (
    MAX_LANGUAGES,
    MAX_PROMPT_CHARS,
    LanguageName,
    split_keywords,
)
from transcriptions.uploads.service import UploadRefused, check_language

TITLE = "Realtime session"
LOGPROBS = "item.input_audio_transcription.logprobs"
TELEPHONE_RATE_HZ = 8_000
MIN_SILENCE_S, MAX_SILENCE_S = 0.2, 10.0
# Seconds of silence that end a turn, if the client lets the server choose the length of a pause.
SILENCE_BY_EAGERNESS = {"high": 0.4, "medium": 0.8, "auto": 0.8, "low": 2.0}
# Models for which OpenAI has no turn detection: their clients end turns themselves.
MODELS_WITHOUT_TURNS = ("gpt-realtime-whisper", "gpt-live-transcribe")
# Fields for which null counts as left out.
NEVER_NULL = ("type", "audio", "input", "format", "rate", "transcription", "model")
# Names of the alternatives of a union, which pydantic adds to the location of an error.
TAGS = ("audio/pcm", "audio/pcmu", "audio/pcma", "server_vad", "semantic_vad")


class Pcm(BaseModel):
    """16-bit samples, little-endian. OpenAI's own API supports only 24 kHz."""

    type: Literal["audio/pcm"] = "audio/pcm"
    rate: int = Field(default=24_000, ge=MIN_RATE_HZ, le=MAX_RATE_HZ)


class Telephone(BaseModel):
    """G.711, at 8 kHz."""

    type: Literal["audio/pcmu", "audio/pcma"]


class Transcription(BaseModel):
    """Settings for the speech engine."""

    model: str = Field(default="transcodio", max_length=100)
    language: LanguageName | None = None
    languages: list[LanguageName] | None = Field(default=None, max_length=MAX_LANGUAGES)
    prompt: str | None = None
    keywords: list[str] | None = None

    @field_validator("language", "languages")
    @classmethod
    def _known(cls, value: str | list[str] | None) -> str | list[str] | None:
        for language in [value] if isinstance(value, str) else value or ():
            try:
                check_language(language)
            except UploadRefused as error:
                raise ValueError(str(error)) from None
        return value

    @field_validator("keywords")
    @classmethod
    def _split(cls, keywords: list[str] | None) -> list[str] | None:
        return None if keywords is None else split_keywords(keywords)


class ServerVad(BaseModel):
    """Silence of a certain length ends a turn. `threshold` has no effect."""

    type: Literal["server_vad"] = "server_vad"
    threshold: float = Field(default=0.5, ge=0, le=1)
    prefix_padding_ms: int = Field(default=300, ge=0, le=60_000)
    silence_duration_ms: int = Field(default=500, ge=0, le=60_000)

    @property
    def silence_s(self) -> float:
        """Seconds of silence that end a turn."""
        return min(max(self.silence_duration_ms / 1000, MIN_SILENCE_S), MAX_SILENCE_S)


class SemanticVad(BaseModel):
    """`eagerness` determines the length of a pause."""

    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    prefix_padding_ms: ClassVar[int] = 0

    @property
    def silence_s(self) -> float:
        """Seconds of silence that end a turn."""
        return SILENCE_BY_EAGERNESS[self.eagerness]


TurnDetection = Annotated[ServerVad | SemanticVad, Field(discriminator="type")]


class NoiseReduction(BaseModel):
    """Has no effect."""

    type: Literal["near_field", "far_field"] | None = None


class Input(BaseModel):
    """The audio that the client sends."""

    format: Annotated[Pcm | Telephone, Field(discriminator="type")] = Pcm()
    transcription: Transcription = Transcription()
    turn_detection: TurnDetection | None = ServerVad()
    noise_reduction: NoiseReduction | None = None


class Audio(BaseModel):
    """The session has no output."""

    input: Input = Input()


class Session(BaseModel):
    """All settings of a session."""

    type: Literal["transcription"] = "transcription"
    audio: Audio = Audio()
    include: list[str] | None = None

    def updated(self, given: Any) -> Session:
        """Merge the settings that a client has sent. Raises InvalidParameter."""
        merged = _merged(self.model_dump(), given)
        return _valid(_with_usual_turns(merged, given))

    @property
    def has_logprobs(self) -> bool:
        """Whether the client wants the log probabilities of words."""
        return LOGPROBS in (self.include or ())

    @property
    def input(self) -> Input:
        """The settings of the audio."""
        return self.audio.input

    @property
    def params(self) -> LiveParams:
        """The parameters of the corresponding live session."""
        given, turns = self.input.transcription, self.input.turn_detection
        encodings = {"audio/pcm": "pcm_s16le", "audio/pcmu": "mulaw", "audio/pcma": "alaw"}
        return LiveParams.model_validate(
            {
                "title": TITLE,
                "encoding": encodings[self.input.format.type],
                "sample_rate": getattr(self.input.format, "rate", TELEPHONE_RATE_HZ),
                "turn_silence": turns.silence_s if turns else None,
                "language": given.language or "",
                "languages": given.languages or [],
                "prompt": (given.prompt or "")[
                    -MAX_PROMPT_CHARS:
                ],  # like OpenAI, which uses its end
                "keywords": given.keywords or [],
            }
        )


def initial_settings(model: str, given: dict[str, Any] | None = None) -> Session:
    """The settings of a new connection, from the model in its URL and the client secret. Raises
    InvalidParameter."""
    audio = {"input": {"transcription": {"model": model or None}}}
    return Session().updated({"audio": audio}).updated(given or {})


def _merged(old: Any, given: Any) -> Any:
    """Objects are merged, except for those whose type has changed."""
    if not isinstance(old, dict) or not isinstance(given, dict):
        return given
    sent = {name: v for name, v in given.items() if v is not None or name not in NEVER_NULL}
    if "type" in old and sent.get("type", old["type"]) != old["type"]:
        return sent
    return old | {name: _merged(old.get(name), value) for name, value in sent.items()}


def _with_usual_turns(merged: Any, given: Any) -> Any:
    """Turn detection is switched off if the chosen model has none and the client does not set
    it."""
    try:
        sent = given["audio"]["input"]
        is_without = sent["transcription"]["model"] in MODELS_WITHOUT_TURNS
    except (TypeError, KeyError):
        return merged
    if is_without and "turn_detection" not in sent:
        merged["audio"]["input"]["turn_detection"] = None
    return merged


def _valid(session: Any) -> Session:
    try:
        valid = Session.model_validate(session)
    except ValidationError as error:
        raise _invalid(error) from None
    check_model(valid.input.transcription.model)
    return valid


def _invalid(error: ValidationError) -> InvalidParameter:
    """The first invalid value; its location is named as in the client's message."""
    first = error.errors()[0]
    param = ".".join(["session", *(str(part) for part in first["loc"] if part not in TAGS)])
    reason = first["msg"].removeprefix("Value error, ").rstrip(".")
    message = _("Invalid value for %(name)s: %(reason)s.")
    code = "missing_parameter" if first["type"] == "missing" else "invalid_value"
    return InvalidParameter(400, code, message % {"name": f"'{param}'", "reason": reason}, param)
