"""The pipelines."""

from pyannote.audio import Pipeline


class SpeakerDiarization(Pipeline):
    pass
