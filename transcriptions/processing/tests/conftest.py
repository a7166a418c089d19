"""Fixtures for tests of processing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from accounts.models import User
from transcodio_site.testing import SAMPLE, Media
from transcodio_site.testing_media import CHANGES_S
from transcriptions.models import AudioAnalysis, State, Transcription
from transcriptions.processing import diarizing, pipeline, preparation
from transcriptions.processing.media import conversion, program
from transcriptions.processing.media.conversion import PreparedAudio
from transcriptions.processing.tests.diarizers import ScriptedDiarizer
from transcriptions.processing.tests.helpers import Prepare, SpanEngine, Waiting, no_check, script
from transcriptions.processing.turns import assign_virtual_start
from transcriptions.testing import ScriptedEngine, Upload


@pytest.fixture
def prepare(tmp_path: Path) -> Iterator[Prepare]:
    """`media.prepare` into the test's folder. Check that no other file and no process is left."""

    def run(source: Path) -> PreparedAudio:
        return conversion.prepare(source, tmp_path, no_check)

    yield run
    assert {path.name for path in tmp_path.iterdir()} <= {"audio.wav", "ffmpeg.log"}
    assert not [p for p in psutil.Process().children() if "ffmpeg" in " ".join(p.cmdline())]


@pytest.fixture
def replace_ffmpeg(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], None]:
    """A function that replaces FFmpeg by a program for `sh`."""

    def replace(lines: str) -> None:
        path = script(tmp_path_factory.mktemp("bin") / "ffmpeg", lines)
        monkeypatch.setattr(program, "ffmpeg_binary", lambda: path)
        monkeypatch.setattr(program, "has_fd_protocol", lambda binary: True)

    return replace


@pytest.fixture
def diarizer(monkeypatch: pytest.MonkeyPatch) -> ScriptedDiarizer:
    """Replaces the embedded one: the first two seconds are by one speaker, the rest by another."""
    scripted = ScriptedDiarizer()
    monkeypatch.setattr(diarizing, "get_diarizer", lambda name: scripted)
    return scripted


@pytest.fixture
def complete(finished: Transcription) -> Transcription:
    """Five sentences, one per second, without speakers, whose audio can be prepared again."""
    Path(finished.source.path).write_bytes(SAMPLE.read_bytes())
    return finished


@pytest.fixture
def waiting(prepared: Transcription) -> Waiting:
    """A function that creates recordings that wait for the engine."""
    source, audio = prepared.source.name, prepared.audio.name
    prepared.source = prepared.audio = ""
    prepared.delete()

    def create(owner: User, count: int, **fields: Any) -> list[Transcription]:
        fields = {"state": State.PREPARED, "source_bytes": 1, "duration": 10.0} | fields
        fields |= {"source": source, "audio": audio}
        create = Transcription.objects.create
        rows = [create(owner=owner, title=f"{owner} {n}", **fields) for n in range(count)]
        for row in rows:
            AudioAnalysis.objects.create(transcription=row, spans=[[0.0, 10.0]])
            assign_virtual_start(row)
        return rows

    return create


@pytest.fixture
def check_no_temporary_files(tmp_path: Path) -> Iterator[None]:
    """No temporary folder is left, however processing ended."""
    yield
    assert list((tmp_path / "tmp").glob("*")) == []


@pytest.fixture
def span_engine(monkeypatch: pytest.MonkeyPatch) -> SpanEngine:
    """Replace Whisper by an engine whose segments are the spans."""
    engine = SpanEngine()
    monkeypatch.setattr(pipeline, "get_engine", lambda name: engine)
    return engine


@pytest.fixture
def short_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample is a long recording."""
    monkeypatch.setattr(preparation, "OPENINGS_S", (24.0, 34.0))
    monkeypatch.setattr(preparation, "MIN_LONG_S", 36.0)


@pytest.fixture
def merged(upload: Upload, media: Media, engine: ScriptedEngine) -> Transcription:
    """A conversation of two people in twelve segments, all of them by one speaker."""
    row = upload(media.two_voices("talk.wav"))
    assert pipeline.preprocess(row.id)
    assert pipeline.transcribe(row.id)
    row.segments.all().delete()
    turns = list(pairwise((0.0, *CHANGES_S, 40.0)))
    for number in range(1, 13):
        start, end = turns[(number - 1) // 3]
        third, part = (end - start) / 3, (number - 1) % 3
        _add(row, number, start + part * third, start + (part + 1) * third)
    row.speakers.create(number=1, name="Anna")
    return row


def _add(row: Transcription, number: int, start: float, end: float) -> None:
    text = f"Sentence {number}."
    words = [{"start": start, "end": end, "text": text, "speaker": 1}]
    row.segments.create(number=number, start=start, end=end, text=text, words=words, speaker=1)
