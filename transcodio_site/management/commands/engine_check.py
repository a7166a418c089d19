"""`manage.py engine_check`: tests the speech engine and the diarizer, and measures their speed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from gpu.diarization.clustering import SpeakerLimits
from gpu.diarization.engine import get_diarizer
from gpu.engine import get_engine
from gpu.pricing import cost
from gpu.serving import read_audio
from gpu.types import (
    Audio,
    BadAudio,
    Complete,
    EngineError,
    EngineEvent,
    Metadata,
    Segment,
    UsageDelta,
)
from transcodio_site.sample import SAMPLE


class Command(BaseCommand):
    help = (
        "Transcribes a recording with the configured engine and tells its speakers apart, without "
        "the queue and the database."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The arguments of the command."""
        parser.add_argument("recording", nargs="?", default=str(SAMPLE), help="default: a sample")
        parser.add_argument("--no-speakers", action="store_true", help="do not test DIARIZER")

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError if the engine does not work."""
        with tempfile.TemporaryDirectory() as folder:
            try:
                audio = read_audio(Path(options["recording"]).read_bytes(), Path(folder))
            except (BadAudio, OSError) as error:
                raise CommandError(f"{options['recording']}: {error}") from error
            with _reported("STT_ENGINE", settings.STT_ENGINE):
                self._transcribe(audio)
            if not options["no_speakers"]:
                with _reported("DIARIZER", settings.DIARIZER):
                    self._diarize(audio)

    def _transcribe(self, audio: Audio) -> None:
        started_at = time.monotonic()
        engine = get_engine(settings.STT_ENGINE)
        for event in engine.stream(audio, lambda: False):
            self._print(event, time.monotonic() - started_at)

    def _diarize(self, audio: Audio) -> None:
        started_at = time.monotonic()
        diarizer = get_diarizer(settings.DIARIZER)
        *_, last = diarizer.stream(audio, SpeakerLimits(), lambda: False)
        count = len({turn.speaker for turn in last.turns})
        elapsed_s, used = time.monotonic() - started_at, last.usage or UsageDelta(0.0)
        price = cost(Complete(audio.duration, used.decode_seconds, gpu=used.gpu))
        self.stdout.write(
            f"{settings.DIARIZER} found {count} speaker{'s' * (count != 1)} in {elapsed_s:.1f} s"
            + (f", {price:.6f} USD" if price else "")
        )

    def _print(self, event: EngineEvent, elapsed_s: float) -> None:
        match event:
            case Metadata():
                line = f"{settings.STT_ENGINE} responded with {event.model} after {elapsed_s:.1f} s"
            case Segment():
                line = f"{event.start:7.2f} {event.end:7.2f}  {event.text}"
            case Complete():
                price = cost(event)
                line = (
                    f"{event.audio_seconds:.1f} s of audio in {elapsed_s:.1f} s"
                    + (f", of which {event.load_seconds:.1f} s to start" * bool(event.load_seconds))
                    + (f", {price:.6f} USD" if price else "")
                )
            case _:
                return
        self.stdout.write(line)


@contextmanager
def _reported(setting: str, name: str) -> Iterator[None]:
    """Raises CommandError for what the engine raises."""
    try:
        yield
    except (EngineError, OSError) as error:
        raise CommandError(f"{setting}={name} does not work: {error}") from error
