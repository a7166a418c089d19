"""Recordings in the library, and an engine that says what a test wants to hear."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import User
from gpu.types import Audio, Complete, EngineEvent, Metadata, Partial, Segment, Span, Spent, Word
from transcriptions import pipeline
from transcriptions.models import State, Transcription
from transcriptions.uploads import accept

Upload = Callable[..., Transcription]
Headers = Callable[[User], dict[str, str]]


@pytest.fixture
def folders(settings: Any, tmp_path: Path) -> None:
    """Storage and temporary files of the test's own."""
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "tmp"
    settings.FILE_UPLOAD_TEMP_DIR.mkdir()


@pytest.fixture
def upload(alice: User, folders: None) -> Upload:
    """Takes a file into Alice's library."""

    def take(path: Path, owner: User = alice, language: str = "") -> Transcription:
        return accept(owner, SimpleUploadedFile(path.name, path.read_bytes()), language)

    return take


@pytest.fixture
def prepared(alice: User, folders: None) -> Transcription:
    """A row of Alice's that waits for its words; ten seconds, all of them speech."""
    row = Transcription.objects.create(
        owner=alice,
        title="Ten seconds",
        source="recordings/ten.source",
        source_bytes=9,
        audio="recordings/ten.wav",
        state=State.PREPARED,
        duration=10.0,
        spans=[[0.0, 10.0]],
    )
    for file in (row.source, row.audio):
        path = Path(file.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not empty")
    return row


def spoken(number: int) -> Segment:
    """The segment that is said in second `number`, counted from 1."""
    return Segment((Word(number - 1.0, number - 0.1, f"Sentence {number}."),))


@dataclass
class ScriptedEngine:
    """An engine whose recording says a sentence each second; `before[n]` runs before the n-th.

    With `early` its words are said before their segment is whole. It has waited for 0.4 s in the
    queue and 3 s for a machine when it says the first one.
    """

    sentences: int = 5
    early: bool = False
    before: dict[int, Callable[[], Any]] = field(default_factory=dict)
    asked: list[Audio] = field(default_factory=list)
    name: str = "scripted"
    gpu: str = ""
    stopped: Callable[[], bool] = bool

    def stream(self, audio: Audio, stopped: Callable[[], bool]) -> Iterator[EngineEvent]:
        """See `gpu.types.Engine`."""
        self.asked.append(audio)
        self.stopped = stopped
        yield Metadata("en", "scripted-1")
        for number in range(1, self.sentences + 1):
            if self.early:
                yield Partial(spoken(number).words)
            self.before.get(number, lambda: None)()
            if self._within(audio.spans, number):
                yield Spent(0.1, self.gpu, *((0.4, 3.0) if number == 1 else ()))
                yield spoken(number)
        yield Complete(audio_seconds=float(self.sentences), decode_seconds=0.5)

    @staticmethod
    def _within(spans: tuple[Span, ...], number: int) -> bool:
        return any(span.start <= number - 0.5 <= span.end for span in spans)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> ScriptedEngine:
    """Stands in for Whisper where the pipeline itself is looked at."""
    scripted = ScriptedEngine()
    monkeypatch.setattr(pipeline, "get_engine", lambda name: scripted)
    return scripted


def texts(row: Transcription) -> list[str]:
    """What is stored of a transcript."""
    return [segment.text for segment in row.segments.all()]


@pytest.fixture
def api(alice: User, token_of: Headers, upload: Upload) -> Client:
    """A program with a token of Alice's."""
    return Client(headers=token_of(alice))


@pytest.fixture
def finished(prepared: Transcription, engine: ScriptedEngine) -> Transcription:
    """Her recording with five sentences."""
    assert pipeline.transcribe(prepared.id)
    return Transcription.objects.get()


def send(client: Client, path: str, content: bytes, name: str = "a.wav", **fields: str) -> Any:
    """Uploads by form."""
    return client.post(path, {"file": SimpleUploadedFile(name, content)} | fields)


def stored_files(settings: Any) -> list[Path]:
    """All files of recordings, and all temporary ones."""
    roots = (Path(settings.MEDIA_ROOT), Path(settings.FILE_UPLOAD_TEMP_DIR))
    return [path for root in roots for path in root.rglob("*") if path.is_file()]
