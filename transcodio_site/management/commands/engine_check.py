"""`manage.py engine_check`: whether the configured speech engine answers, and how fast."""

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
from transcodio_site.management.commands.demo import SAMPLE


class Command(BaseCommand):
    help = "Transcribes a recording with the configured engine, without queue and database."

    def add_arguments(self, parser: CommandParser) -> None:
        """The command line."""
        parser.add_argument("recording", nargs="?", default=str(SAMPLE), help="default: a sample")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit status 1, and what to do, if the engine does not work."""
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            try:
                audio = read_audio(Path(options["recording"]).read_bytes(), Path(folder))
            except (BadAudio, OSError) as error:
                raise CommandError(f"{options['recording']}: {error}") from error
            try:
                engine = get_engine(settings.STT_ENGINE)
                for event in engine.stream(audio, lambda: False):
                    self._tell(event, time.monotonic() - began)
            except (EngineError, OSError) as error:
                name = settings.STT_ENGINE
                raise CommandError(f"STT_ENGINE={name} does not work: {error}") from error

    def _tell(self, event: EngineEvent, after: float) -> None:
        match event:
            case Metadata():
                said = f"{settings.STT_ENGINE} answers with {event.model} after {after:.1f} s"
            case Segment():
                said = f"{event.start:7.2f} {event.end:7.2f}  {event.text}"
            case Complete():
                price = cost(event)
                said = (
                    f"{event.audio_seconds:.1f} s of audio in {after:.1f} s"
                    + (f", of which {event.load_seconds:.1f} s to start" * bool(event.load_seconds))
                    + (f", {price:.6f} USD" if price else "")
                )
            case _:
                return
        self.stdout.write(said)
