"""What a request can ask about speakers."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from gpu.diarization.clustering import MAX_SPEAKERS

FIELDS = ("diarize", "speakers", "min_speakers", "max_speakers")


class SpeakerParams(BaseModel):
    """Whether speakers are told apart, and how many there are. Asking for a number of them is
    asking for that, too."""

    diarize: bool | None = Field(
        default=None, description="Tell speakers apart: words and segments have a `speaker`"
    )
    speakers: int | None = Field(
        default=None, ge=1, le=MAX_SPEAKERS, description="How many there are, if you know"
    )
    min_speakers: int | None = Field(default=None, ge=1, le=MAX_SPEAKERS)
    max_speakers: int | None = Field(default=None, ge=1, le=MAX_SPEAKERS)

    @property
    def speaker_options(self) -> dict[str, Any]:
        """The fields of `Options` that were given."""
        least, most = self.min_speakers or self.speakers, self.max_speakers or self.speakers
        is_wanted = self.diarize
        if is_wanted is None and (least or most):
            is_wanted = True
        options = {"diarize": is_wanted, "min_speakers": least, "max_speakers": most}
        return {name: value for name, value in options.items() if value is not None}
