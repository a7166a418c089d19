"""`manage.py engine_check`: tests the configured speech engine and measures its speed."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from gpu.engine import get_engine
from gpu.pricing import cost
from gpu.serving import read_audio
from gpu.types import BadAudio, Complete, EngineError, EngineEvent, Metadata, Segment
from transcodio_site.sample import SAMPLE


class Command(BaseCommand):
    help = "Transcribes a recording with the configured engine, without the queue and the database."

    def add_arguments(self, parser: CommandParser) -> None:
        """The arguments of the command."""
        parser.add_argument("recording", nargs="?", default=str(SAMPLE), help="default: a sample")

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError if the engine does not work."""
        started_at = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            try:
                audio = read_audio(Path(options["recording"]).read_bytes(), Path(folder))
            except (BadAudio, OSError) as error:
                raise CommandError(f"{options['recording']}: {error}") from error
            try:
                engine = get_engine(settings.STT_ENGINE)
                for event in engine.stream(audio, lambda: False):
                    self._print(event, time.monotonic() - started_at)
            except (EngineError, OSError) as error:
                name = settings.STT_ENGINE
                raise CommandError(f"STT_ENGINE={name} does not work: {error}") from error

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
