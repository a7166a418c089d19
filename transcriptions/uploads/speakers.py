"""What a request can ask about speakers."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from accounts.schemas import Body
from gpu.diarization.clustering import MAX_SPEAKERS

FIELDS = ("diarize", "speakers", "min_speakers", "max_speakers")


class SpeakerCounts(BaseModel):
    """How many speakers there are."""

    speakers: int | None = Field(
        default=None, ge=1, le=MAX_SPEAKERS, description="Number of speakers, if known"
    )
    min_speakers: int | None = Field(default=None, ge=1, le=MAX_SPEAKERS)
    max_speakers: int | None = Field(default=None, ge=1, le=MAX_SPEAKERS)

    @property
    def least(self) -> int | None:
        """The minimum number of speakers; None if unknown."""
        return self.min_speakers or self.speakers

    @property
    def most(self) -> int | None:
        """The maximum number of speakers; None if unknown."""
        return self.max_speakers or self.speakers


class SpeakerParams(SpeakerCounts):
    """Whether speakers are detected, and how many there are. Asking for a number of them is
    asking for that, too."""

    diarize: bool | None = Field(
        default=None,
        description="Detect speakers: words and segments have a `speaker`. Default: your "
        "setting in the web app",
    )

    @property
    def speaker_options(self) -> dict[str, Any]:
        """The fields of `Options` that were given."""
        is_wanted = self.diarize
        if is_wanted is None and (self.least or self.most):
            is_wanted = True
        options = {"diarize": is_wanted, "min_speakers": self.least, "max_speakers": self.most}
        return {name: value for name, value in options.items() if value is not None}


class DetectIn(Body, SpeakerCounts):
    """How many speakers there are, if you know; an empty object if you do not."""

    model_config = Body.example(speakers=2) | {"strict": True}
