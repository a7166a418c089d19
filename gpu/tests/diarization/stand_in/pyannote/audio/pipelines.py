"""The pipelines."""

from pyannote.audio import Pipeline


class SpeakerDiarization(Pipeline):  # type: ignore[misc]  # mypy does not find the stand-in
    pass
