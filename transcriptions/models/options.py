"""The options that the owner chose when uploading a recording."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from gpu.types import RecognitionOptions

Task = Literal["transcribe", "translate"]
Channels = Literal["mix", "separate"]
LISTS = ("keywords", "languages")


@dataclass(frozen=True, slots=True)
class Options:
    """Stored as JSON, without default values."""

    prompt: str = ""
    keywords: tuple[str, ...] = ()
    task: Task = "transcribe"
    channels: Channels = "mix"  # whether channels are recognized separately
    track: int | None = None  # audio track, from 0; None: the one with speech
    languages: tuple[str, ...] = ()  # the candidates, if the language has to be detected
    diarize: bool = False  # whether speakers are detected
    min_speakers: int | None = None  # None: any number
    max_speakers: int | None = None
    media_type: str = ""  # of content without a header: see transcriptions/raw_audio.py

    @classmethod
    def of(cls, stored: dict[str, Any]) -> Options:
        """Decode from JSON. Unknown values of newer releases are ignored."""
        known = {field.name: stored[field.name] for field in fields(cls) if field.name in stored}
        lists = {name: tuple(known.get(name, ())) for name in LISTS}
        return cls(**known | lists)

    def as_json(self) -> dict[str, Any]:
        """Encode for the database."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        changed = {k: v for k, v in values.items() if v != getattr(Options(), k)}
        return changed | {name: list(changed[name]) for name in LISTS if name in changed}

    @property
    def is_translation(self) -> bool:
        """Whether the text is English, whatever language is spoken."""
        return self.task == "translate"

    def for_engine(self) -> RecognitionOptions:
        """The options that concern the engine."""
        return RecognitionOptions(self.prompt, self.keywords, self.is_translation, self.languages)
