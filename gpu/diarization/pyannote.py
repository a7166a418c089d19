"""DIARIZER=pyannote: a pipeline of pyannote.audio on the GPU of this machine, or on its CPU.

It has no result before it has processed the whole recording, so there are no provisional results,
only signs of life. It finds overlapping turns.
"""

from __future__ import annotations

import math
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gpu import config, pcm
from gpu.diarization.clustering import SpeakerLimits
from gpu.diarization.types import Diarization, Turn
from gpu.types import Audio, Cancelled, DeviceLost, EngineError, EngineUnavailable, UsageDelta

RATE_HZ = 16_000  # of all its models
BLOCK_S = 600  # read at a time
POLL_INTERVAL_S = 0.1
SIGN_OF_LIFE_S = 2.0  # between two results that only report progress
STOP_TIMEOUT_S = 2.0  # for which the end of a call waits for the current batch

INSTALL = "DIARIZER=pyannote needs pyannote.audio: pip install '.[pyannote]'"


class PyannoteDiarizer:
    """One pipeline for all threads of the process, loaded at the first use. It works on one
    recording at a time, because each one uses the whole device and its memory."""

    name = "pyannote"

    def __init__(
        self, source: str = config.PYANNOTE_MODEL, device: str = config.STT_DEVICE
    ) -> None:
        self.source, self.device = source, device
        self.working = threading.Lock()
        self.steps = 0  # of all recordings: shows those that wait that work continues
        self._loading = threading.Lock()
        self._loaded: Any = None
        self._is_on_device = False

    def stream(
        self, audio: Audio, limits: SpeakerLimits, stopped: Callable[[], bool]
    ) -> Iterator[Diarization]:
        """See `gpu.diarization.types.Diarizer`."""
        if not audio.spans:
            yield Diarization((), audio.duration, is_final=True)
            return
        run = _Run(self, audio, limits)
        try:
            yield from self._signs_of_life(run, stopped)
            yield run.result()
        finally:
            run.stop()

    def _signs_of_life(self, run: _Run, stopped: Callable[[], bool]) -> Iterator[Diarization]:
        steps, last = self.steps, time.monotonic()
        while not run.ended.wait(POLL_INTERVAL_S):
            if stopped():
                raise Cancelled("the caller asked to stop")
            if self.steps != steps and time.monotonic() - last > SIGN_OF_LIFE_S:
                steps, last = self.steps, time.monotonic()
                yield Diarization((), 0.0, usage=run.usage())

    def load(self) -> Any:
        """The pipeline; it is in main memory until its first use. Raises EngineUnavailable."""
        with self._loading:
            self._loaded = self._loaded or _load(self.source)
            return self._loaded

    def pipeline(self) -> Any:
        """The pipeline on its device. Raises EngineUnavailable, OutOfMemory, DeviceLost."""
        loaded = self.load()
        with self._loading:
            if not self._is_on_device:
                _move(loaded, self.device)
                self._is_on_device = True
            return loaded

    def unload(self) -> None:
        """Load the pipeline again at the next use: its device was lost."""
        with self._loading:
            self._loaded, self._is_on_device = None, False


class _Run:
    """The pipeline at work on one recording, in a thread of its own."""

    def __init__(self, diarizer: PyannoteDiarizer, audio: Audio, limits: SpeakerLimits) -> None:
        self.ended = threading.Event()
        self._diarizer, self._audio, self._limits = diarizer, audio, limits
        self._stopped = threading.Event()
        self._found: Diarization | None = None
        self._error: EngineError | None = None
        # Start of the wait for the device, start and end of the work on it; on the monotonic clock.
        self._queued_at = self._began_at = self._ended_at = math.inf
        self._thread = threading.Thread(target=self._main, daemon=True, name="pyannote")
        self._thread.start()

    def usage(self) -> UsageDelta:
        """Seconds of device time and of waiting for the device, so far."""
        now = time.monotonic()
        queued_at, began_at, ended_at = (
            min(moment, now) for moment in (self._queued_at, self._began_at, self._ended_at)
        )
        return UsageDelta(ended_at - began_at, queue_seconds=began_at - queued_at)

    def result(self) -> Diarization:
        """The result; call it after the end. Raises EngineError."""
        if self._found is None:
            raise self._error or EngineError("pyannote.audio has ended without a result")
        return self._found

    def stop(self) -> None:
        """Stop after the current batch."""
        self._stopped.set()
        self._thread.join(STOP_TIMEOUT_S)

    def _main(self) -> None:
        try:
            self._found = self._diarize()
        except EngineError as error:
            self._error = error
        except Exception as error:
            self._error = _engine_error("pyannote.audio has failed", error)
        finally:
            if isinstance(self._error, DeviceLost):
                self._diarizer.unload()
            self.ended.set()

    def _diarize(self) -> Diarization:
        pipeline = self._diarizer.pipeline()
        self._queued_at = time.monotonic()
        while not self._diarizer.working.acquire(timeout=POLL_INTERVAL_S):
            self._check()
        self._began_at = time.monotonic()
        try:
            limits = {"min_speakers": self._limits.minimum, "max_speakers": self._limits.maximum}
            found = pipeline(_file(self._audio), hook=self._after_step, **limits)
        finally:
            self._ended_at = time.monotonic()
            self._diarizer.working.release()
        turns, voices = turns_and_voices(found, self._audio.duration)
        return Diarization(turns, self._audio.duration, True, voices, self.usage())

    def _after_step(self, *_: Any, **__: Any) -> None:
        self._diarizer.steps += 1
        self._check()

    def _check(self) -> None:
        if self._stopped.is_set():
            raise Cancelled("the caller asked to stop")


def turns_and_voices(
    found: Any, duration: float
) -> tuple[tuple[Turn, ...], Mapping[int, tuple[float, ...]]]:
    """Turns and voices from a DiarizeOutput of pyannote.audio. Turns may overlap. Voices have
    length 1."""
    tracks = found.speaker_diarization.itertracks(yield_label=True)
    stretches = sorted((part.start, min(part.end, duration), label) for part, _, label in tracks)
    stretches = [(start, end, label) for start, end, label in stretches if end > start]
    labels = dict.fromkeys(label for _, _, label in stretches)
    numbers = {label: number for number, label in enumerate(labels, 1)}
    turns = tuple(Turn(float(s), float(e), numbers[label]) for s, e, label in stretches)
    vectors = found.speaker_embeddings
    named = zip(
        found.speaker_diarization.labels(), () if vectors is None else vectors, strict=False
    )
    voices = {numbers[label]: _unit(vector) for label, vector in named if label in numbers}
    return turns, {number: voice for number, voice in sorted(voices.items()) if voice}


def _unit(vector: Sequence[float]) -> tuple[float, ...]:
    """Scale to length 1; empty if the vector is zero or has NaN."""
    length = float(np.linalg.norm(vector))
    return tuple(float(x) / length for x in vector) if 0 < length < math.inf else ()


def _file(audio: Audio) -> dict[str, Any]:
    """The whole recording in the form that pyannote.audio accepts. We read it ourselves, so no
    decoder is needed."""
    import torch

    samples = np.zeros((1, round(audio.duration * RATE_HZ)), np.float32)
    for start in range(0, math.ceil(audio.duration), BLOCK_S):
        block = pcm.read_resampled(audio.path, start, start + BLOCK_S, RATE_HZ)
        rest = samples[0, start * RATE_HZ :][: len(block)]
        rest[:] = block[: len(rest)]
    return {"waveform": torch.from_numpy(samples), "sample_rate": RATE_HZ, "uri": "recording"}


def _load(source: str) -> Any:
    # It would report the length of recordings and the expected number of speakers to its
    # developers.
    os.environ["PYANNOTE_METRICS_ENABLED"] = "0"
    # Warnings that it cannot decode files, and about precision and short recordings.
    warnings.filterwarnings("ignore", module=r"pyannote\.")
    try:
        from pyannote.audio import Pipeline
        from pyannote.audio.pipelines import SpeakerDiarization
    except (ImportError, OSError) as error:  # OSError: torchaudio was built for another torch
        raise EngineUnavailable(f"{INSTALL} ({error})") from error
    try:
        pipeline = Pipeline.from_pretrained(source)
    except Exception as error:  # the libraries raise many types
        raise EngineUnavailable(_why_not_loaded(source, error)) from error
    # Other pipelines may send the recording to a service.
    if not isinstance(pipeline, SpeakerDiarization):
        raise EngineUnavailable(
            f"PYANNOTE_MODEL={source!r} is {type(pipeline).__name__}, and not a SpeakerDiarization"
        )
    return pipeline


def _why_not_loaded(source: str, error: Exception) -> str:
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    problem = f"PYANNOTE_MODEL={source!r} cannot be loaded"
    if isinstance(error, LocalEntryNotFoundError):
        return f"{problem}, and huggingface.co cannot be reached to download it ({error})"
    if isinstance(error, HfHubHTTPError):
        return (
            f"{problem}: accept its conditions at https://huggingface.co/{source} and set HF_TOKEN "
            f"to a token of that account, or name a folder ({error})"
        )
    return f"{problem}: {error!r}"


def _move(pipeline: Any, device: str) -> None:
    import torch

    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        pipeline.to(torch.device(chosen))
    except Exception as error:
        raise _engine_error(f"STT_DEVICE={chosen} cannot be used", error) from error


def _engine_error(message: str, error: Exception) -> EngineError:
    from gpu.torch_errors import engine_error

    return engine_error(message, error)
