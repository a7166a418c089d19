"""`manage.py engine_check` with engines that need no model. gpu/tests/modal has it with Modal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from gpu.types import Audio, Complete, EngineEvent
from transcodio_site.management.commands import engine_check
from transcodio_site.testing import SAMPLE


class Mute:
    """An engine that works, but recognizes nothing."""

    def stream(self, audio: Audio, stopped: Callable[[], bool]) -> Iterator[EngineEvent]:
        yield Complete(audio.duration, 0.1)


@pytest.fixture(autouse=True)
def mute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_check, "get_engine", lambda name: Mute())


def check(**options: Any) -> str:
    said = StringIO()
    call_command("engine_check", str(SAMPLE), stdout=said, **options)
    return said.getvalue()


def test_diarizer_is_checked_after_the_engine() -> None:
    transcribed, speakers = check().splitlines()
    assert "s of audio in" in transcribed
    assert speakers.startswith("embedded found 1 speaker in ")


def test_diarizer_that_does_not_work_is_named(settings: Any) -> None:
    settings.DIARIZER = "crystal-ball"
    with pytest.raises(CommandError, match=r"^DIARIZER=crystal-ball does not work: .*, modal$"):
        check()
    assert "s of audio in" in check(no_speakers=True)


def test_file_without_audio_is_the_cause() -> None:
    with pytest.raises(CommandError, match=f"^{__file__}: the file contains no audio"):
        call_command("engine_check", __file__)
