"""Helpers for tests: a scripted engine, uploads, stored files, plans and usage."""

from __future__ import annotations

import json
import math
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, connections, transaction
from django.db.models import QuerySet
from django.test import Client
from django.utils import timezone

from accounts.models import AccountDeletion, ApiToken, Outcome, Plan, UsageRecord, User
from accounts.usage import ledger
from gpu.pcm import SAMPLE_RATE_HZ
from gpu.types import (
    Audio,
    Commit,
    Complete,
    EngineEvent,
    LiveAudio,
    LiveEvent,
    Metadata,
    Partial,
    Segment,
    Span,
    TurnEnded,
    UsageDelta,
    Word,
)
from transcriptions.models import FINISHED, WORKING, AccountQueue, State, Transcription
from transcriptions.models import Segment as StoredSegment
from transcriptions.privacy.account_deletion import delete_batch
from transcriptions.processing import lifecycle
from transcriptions.waveform import Waveform

Upload = Callable[..., Transcription]
Headers = Callable[[User], dict[str, str]]

# A complete MP3 in 720 bytes, 0.7 s of silence: ten frames of MPEG 2.5 Layer III at 8 kHz and
# 8 kbit/s, each a header and a body of zeros (ISO 13818-3, 2.4).
MP3 = (b"\xff\xe3\x18\xc4" + bytes(68)) * 10


def spoken(number: int) -> Segment:
    """The segment spoken in second `number`, counted from 1."""
    return Segment((Word(number - 1.0, number - 0.1, f"Sentence {number}."),))


@dataclass
class ScriptedEngine:
    """An engine that recognizes one sentence per second of audio; `before[n]` runs before the n-th.

    With `send_partials`, each segment is preceded by a partial. The first segment reports 0.4 s in
    the queue and 3 s of startup. `calls` holds the audio of each call.
    """

    sentences: int = 5
    send_partials: bool = False
    before: dict[int, Callable[[], Any]] = field(default_factory=dict)
    before_end: Callable[[], Any] = bool  # runs when no more live audio comes
    calls: list[Audio] = field(default_factory=list)
    name: str = "scripted"
    gpu: str = ""
    stopped: Callable[[], bool] = bool

    def stream(self, audio: Audio, stopped: Callable[[], bool]) -> Iterator[EngineEvent]:
        """See `gpu.types.Engine`."""
        self.calls.append(audio)
        self.stopped = stopped
        try:
            yield from self._events(audio)
        finally:
            connections.close_all()  # `before` may have used the database in the engine's thread

    def _events(self, audio: Audio) -> Iterator[EngineEvent]:
        yield Metadata("en", "scripted-1")
        for number in range(1, self.sentences + 1):
            if self.send_partials:
                yield Partial(spoken(number).words)
            self.before.get(number, lambda: None)()
            if self._within(audio.spans, number):
                yield UsageDelta(0.1, self.gpu, *((0.4, 3.0) if number == 1 else ()))
                yield spoken(number)
        yield Complete(audio_seconds=float(self.sentences), decode_seconds=0.5)

    def live(self, audio: LiveAudio, stopped: Callable[[], bool]) -> Iterator[LiveEvent]:
        """One sentence per second of audio that has arrived, with a partial before it; a commit
        ends the turn."""
        self.stopped = stopped
        yield Metadata("en", "scripted-1")
        seconds, number = audio.start, math.ceil(audio.start)
        for chunk in audio.chunks:
            if isinstance(chunk, Commit):
                yield TurnEnded(seconds, chunk.number)
                continue
            seconds += len(chunk) / SAMPLE_RATE_HZ
            while number + 1 <= seconds:
                number += 1
                yield Partial(spoken(number).words, tentative=1)
                self.before.get(number, lambda: None)()
                yield UsageDelta(0.1, self.gpu)
                yield spoken(number)
        self.before_end()
        yield Complete(audio_seconds=seconds - audio.start, decode_seconds=0.5)

    @staticmethod
    def _within(spans: tuple[Span, ...], number: int) -> bool:
        return any(span.start <= number - 0.5 <= span.end for span in spans)


def add_segment(row: Transcription, number: int) -> StoredSegment:
    """Store what was spoken in second `number`, as the worker that has the row does."""
    (segment,) = lifecycle.add_segments(row, [spoken(number)])
    return segment


def texts(row: Transcription) -> list[str]:
    """The texts of the stored segments."""
    return [segment.text for segment in row.segments.all()]


def send(client: Client, path: str, content: bytes, name: str = "a.wav", **fields: str) -> Any:
    """Upload `content` by form."""
    return client.post(path, {"file": SimpleUploadedFile(name, content)} | fields)


def stored_files(settings: Any) -> list[Path]:
    """All files in the storage and in the folder for temporary files."""
    roots = (Path(settings.MEDIA_ROOT), Path(settings.FILE_UPLOAD_TEMP_DIR))
    return [path for root in roots for path in root.rglob("*") if path.is_file()]


def set_state(state: State, rows: QuerySet[Transcription] | None = None, /, **fields: Any) -> None:
    """Put rows (default: all) into any state, without the trigger that checks transitions."""
    fields |= {
        "completed_at": timezone.now() if state in FINISHED else None,
        "lease": uuid.uuid4() if state in WORKING else None,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        (Transcription.objects.all() if rows is None else rows).update(state=state, **fields)
        cursor.execute("SET LOCAL session_replication_role = origin")


def queue_many(owner: User, count: int, **fields: Any) -> None:
    """Create the rows of `count` prepared uploads of an account that has had no turn yet, without
    files."""
    first = Transcription.objects.create(
        owner=owner, title="One of many", source_bytes=1, state=State.PREPARED, **fields
    )
    columns = [str(field.column) for field in Transcription._meta.concrete_fields]
    changed = {"id": "gen_random_uuid()", "virtual_start": "virtual_start + n"}
    table, names = Transcription._meta.db_table, ", ".join(columns)
    values = ", ".join(changed.get(column, column) for column in columns)
    with connection.cursor() as cursor:
        for start in range(1, count, 1000):  # each within the statement timeout
            cursor.execute(
                f"INSERT INTO {table} ({names}) SELECT {values} FROM {table}, "  # noqa: S608
                "generate_series(%s, %s) n WHERE id = %s",
                [start, min(start + 999, count - 1), first.id],
            )
    AccountQueue.objects.create(owner=owner, priority=first.priority, next_start=count)


def prepare_again(row: Transcription) -> None:
    """Do what `preprocess` does, for a resumed recording of the fixture `prepared`, whose stored
    upload is not audio."""
    claimed = lifecycle.claim(row.id, State.PREPROCESSING)
    assert claimed
    name = row.audio.storage.save("recordings/ten.wav", ContentFile(b"not empty"))
    lifecycle.mark_prepared(
        claimed,
        audio=name,
        format="",
        duration=10.0,
        spans=[Span(0, 10)],
        waveform=Waveform(),
        note="",
    )


def finish_account_deletions() -> None:
    """Complete the requested account deletions, as the worker does."""
    while deletion := AccountDeletion.without_lease().first():
        delete_batch(deletion.user_id)


# --- Plans and usage ----------------------------------------------------------------------------


def assign_plan(user: User, **limits: Any) -> None:
    """Give the user a new plan with these limits, named "Small"."""
    user.plan = Plan.objects.create(name="Small", **limits)
    user.save()


def use_minutes(user: User, minutes: float, token: ApiToken | None = None) -> None:
    """Charge minutes of this month, for a recording that does not exist."""
    ledger.write_record(
        UsageRecord(
            user=user,
            token=token,
            transcription="00000000-0000-4000-8000-000000000000",
            outcome=Outcome.COMPLETED,
            audio_ms=round(minutes * 60_000),
            billed=True,
            reason="A test.",
        )
    )


def charged_ms(user: User) -> int:
    """Milliseconds charged to the user this month."""
    return ledger.billed_ms(user.pk, timezone.now())


@dataclass(frozen=True)
class Scan:
    """A part of a PostgreSQL plan that reads a table."""

    table: str
    index: str | None  # None: it reads the whole table, or uses a bitmap
    rows: int  # that it read, including those that did not match


def scans(query: str) -> Iterator[Scan]:
    """Run a query, undo its changes, and return each scan of a table."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}")
        (answer,) = cursor.fetchone()
        transaction.set_rollback(True)
    nodes = [(json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"]]
    for node in nodes:
        nodes += node.get("Plans", [])  # also those are visited
        if "Relation Name" in node and node["Node Type"] != "ModifyTable":
            rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            yield Scan(
                node["Relation Name"], node.get("Index Name"), int(rows * node["Actual Loops"])
            )


def run_concurrently(*functions: Callable[[], Any]) -> list[Any]:
    """Start all functions at the same moment, each in a thread; return what they returned."""
    barrier, results = threading.Barrier(len(functions)), list[Any]()

    def run(function: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            results.append(function())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
