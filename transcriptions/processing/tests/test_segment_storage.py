"""What it costs to store segments, and that nobody takes the lease away meanwhile."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from gpu.types import Complete, Decoding, Metadata, Segment, UsageDelta, Word
from transcodio_site.testing import wait_until
from transcriptions.exceptions import LeaseLost
from transcriptions.models import Progress, State, Transcription
from transcriptions.processing import lifecycle
from transcriptions.processing.tests.helpers import (
    FIVE_SENTENCES,
    expire,
    fresh,
    renew,
    set_expired,
)
from transcriptions.schemas.transcripts import SegmentOut, TranscriptOut
from transcriptions.testing import add_segment, charged_ms, run_concurrently, spoken, texts

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def held(prepared: Transcription) -> Transcription:
    """A recording that a worker transcribes."""
    row = lifecycle.claim(prepared.id, State.TRANSCRIBING)
    assert row
    return row


def updates(table: str) -> tuple[int, int]:
    """The number of updated rows of a table so far, and of those that were updated in place."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = %s", [table]
        )
        ((updated, in_place),) = cursor.fetchall()
    return updated, in_place


@pytest.mark.parametrize("count", [1, 5])
def test_segments_are_stored_by_one_statement(held: Transcription, count: int) -> None:
    segments = [spoken(number) for number in range(1, count + 1)]
    with CaptureQueriesContext(connection) as statements:  # BEGIN and COMMIT count
        stored = lifecycle.add_segments(held, segments)
    assert len(statements) == 1
    assert [s.number for s in stored] == list(range(1, count + 1))
    assert list(held.segments.all()) == stored
    assert texts(held) == FIVE_SENTENCES[:count]
    assert [s.words for s in held.segments.all()] == [s.words for s in stored]


def test_segment_has_language_channel_and_what_the_decoder_knows(held: Transcription) -> None:
    decoding = Decoding(-0.2, 0.01, 1.3, tokens=(50364, 2425))
    word = Word(0.0, 0.5, "Bonjour", probability=0.9, channel=1)
    lifecycle.add_segments(held, [Segment((word,), "fr", decoding)])
    (stored,) = held.segments.all()
    assert (stored.language, stored.channel) == ("fr", 1)
    known = stored.decoding or {}
    assert Decoding(**known | {"tokens": tuple(known["tokens"])}) == decoding
    out = SegmentOut.of(stored).model_dump()
    assert (out["language"], out["channel"], out["probability"]) == ("fr", 1, 0.9)
    assert out["words"] == [
        {"start": 0.0, "end": 0.5, "text": "Bonjour", "probability": 0.9, "channel": 1}
    ]


def test_languages_are_listed_in_order_when_processing_ends(held: Transcription) -> None:
    lifecycle.mark_started(held, "scripted", Metadata("en", "scripted-1"))
    spoken_in = [("", 0.0), ("de", 1.0), ("", 2.0)]  # without one: that of the metadata
    for language, start in spoken_in:
        lifecycle.add_segments(held, [Segment((Word(start, start + 0.5, "A"),), language)])
    assert TranscriptOut.of(held).languages == []
    lifecycle.mark_completed(held, Complete(3.0, 0.1))
    assert TranscriptOut.of(held).languages == ["en", "de"]


def test_segments_update_the_narrow_row_in_place_and_no_other(held: Transcription) -> None:
    before = updates("transcriptions_progress")
    recordings = updates("transcriptions_transcription")
    for number in range(1, 501):
        held.unsaved_usage = UsageDelta(0.1, "L4")
        add_segment(held, number)
    updated, in_place = (
        after - earlier
        for after, earlier in zip(updates("transcriptions_progress"), before, strict=True)
    )
    assert updated == 500
    assert in_place / updated > 0.95
    assert updates("transcriptions_transcription") == recordings
    assert fresh(held).progress.unbilled_decode_seconds == pytest.approx(50)
    assert fresh(held).progress.unbilled_gpu == "L4"


def test_every_recording_has_a_progress(prepared: Transcription) -> None:
    rows = [Transcription(owner=prepared.owner, source_bytes=1) for _ in range(3)]
    Transcription.objects.bulk_create(rows)
    assert Progress.objects.count() == 4


def wait_until_another_waits() -> None:
    """Until another connection waits for a lock of this one."""

    def is_blocked() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            ((count,),) = cursor.fetchall()
        return bool(count)

    wait_until(is_blocked)


@pytest.mark.covers("fault", "A recording is cancelled just when a segment is stored")
def test_segment_is_not_stored_after_a_cancellation(held: Transcription) -> None:
    cancelled = threading.Event()

    def cancel() -> None:
        with transaction.atomic():
            lifecycle.mark_cancelled(fresh(held))
            cancelled.set()
            wait_until_another_waits()

    def store() -> None:
        cancelled.wait()
        with pytest.raises(LeaseLost):
            add_segment(held, 1)

    assert run_concurrently(cancel, store) == [None, None]
    assert (texts(held), charged_ms(held.owner)) == ([], 0)


@pytest.mark.covers("fault", "A recording is cancelled just when a segment is stored")
def test_segment_is_charged_if_it_is_stored_before_a_cancellation(held: Transcription) -> None:
    stored = threading.Event()

    def store() -> None:
        with transaction.atomic():
            add_segment(held, 1)
            stored.set()
            wait_until_another_waits()

    def cancel() -> None:
        stored.wait()
        lifecycle.mark_cancelled(fresh(held))

    assert run_concurrently(store, cancel) == [None, None]
    assert (texts(held), charged_ms(held.owner)) == (FIVE_SENTENCES[:1], 900)


@pytest.mark.covers("fault", "A worker renews its lease just when it is taken away")
def test_lease_that_is_renewed_late_is_not_taken_away(held: Transcription) -> None:
    set_expired(held)

    def renew_after_first(execute: Any, sql: str, *arguments: Any) -> Any:
        result = execute(sql, *arguments)
        if not renewed:
            renewed.append(True)
            run_concurrently(lambda: renew(held))
        return result

    renewed: list[bool] = []
    with connection.execute_wrapper(renew_after_first):
        lifecycle.recover(Transcription.objects.with_expired_lease())
    lifecycle.ensure_held(held)
    expire(held)
    with pytest.raises(LeaseLost):
        lifecycle.ensure_held(held)


def test_segment_is_of_the_speaker_of_most_of_its_words(held: Transcription) -> None:
    words = [Word(0.0, 0.4, "Yes,", speaker=2), Word(0.4, 1.0, "but", speaker=1), Word(1, 2, "no.")]
    (stored,) = lifecycle.add_segments(held, [Segment(tuple(words))])
    assert held.segments.get().speaker == stored.speaker == 1
    transcript = TranscriptOut.of(held)
    (segment,) = transcript.segments
    assert (segment.speaker, [word.speaker for word in segment.words]) == (1, [2, 1, None])
    assert "speaker" not in segment.words[2].model_dump()
    assert [(s.number, s.label, s.seconds) for s in transcript.speakers] == [
        (1, "Speaker 1", 0.6),
        (2, "Speaker 2", 0.4),
    ]
