"""The stand-in for pyannote.audio where it is not installed.

It has no models, but takes a folder or a name at the Hub, and returns objects with the attributes
that the real package has. The turns of two speakers overlap; the second one speaks first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from huggingface_hub import hf_hub_download
from pyannote.audio.annotation import Annotation, Stretch

TURN_S, OVERLAP_S = 2.0, 0.5


class Pipeline:
    @classmethod
    def from_pretrained(cls, checkpoint: str) -> Any:
        from pyannote.audio.pipelines import SpeakerDiarization

        if not Path(checkpoint).is_dir():
            hf_hub_download(checkpoint, "config.yaml")
        elif not (Path(checkpoint) / "config.yaml").exists():
            raise FileNotFoundError(f"{checkpoint}/config.yaml")
        return SpeakerDiarization()

    def to(self, device: Any) -> Any:
        return self

    def __call__(
        self,
        file: Mapping[str, Any],
        hook: Callable[..., None],
        min_speakers: int,
        max_speakers: int,
    ) -> Any:
        duration = file["waveform"].shape[1] / file["sample_rate"]
        count = max(1, round(duration / TURN_S))
        for number in range(count):
            hook("segmentation", None, file=file, total=count, completed=number)
        labels = [
            f"SPEAKER_{number:02}" for number in range(min(max(2, min_speakers), max_speakers))
        ]
        tracks = [
            (Stretch(number * TURN_S, (number + 1) * TURN_S + OVERLAP_S), labels[-1 - number % 2])
            for number in range(count)
        ]
        annotation = Annotation(tracks)
        vectors = np.arange(1.0, 1 + len(annotation.labels()) * 4).reshape(-1, 4)
        return SimpleNamespace(speaker_diarization=annotation, speaker_embeddings=vectors)
