"""The opening of a long recording, which is recognized while the rest is prepared."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from accounts.models import Outcome, UsageRecord, User
from gpu.tests.wer import word_error_rate
from transcodio_site.testing import SAMPLE, SAMPLE_TEXT, WAIT_S, Media, wait_until
from transcriptions.models import Options, State, Transcription
from transcriptions.processing import commands, leases, openings, pipeline, preparation
from transcriptions.processing.preparation import Preparation, prepare_recording
from transcriptions.processing.tests.helpers import SpanEngine, expire, fresh, no_check, raising
from transcriptions.processing.tests.test_opening_kinds import LIVE, starts
from transcriptions.testing import Upload, assign_plan, charged_ms, stored_files

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("check_no_temporary_files", "short_opening"),
]


@pytest.fixture
def opened(upload: Upload, span_engine: SpanEngine) -> Transcription:
    """The sample, of which the opening is prepared."""
    row = upload(SAMPLE)
    assert pipeline.preprocess(row.id)
    return fresh(row)


@pytest.fixture(scope="module")
def all_spans(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """Where the speech of the sample begins, if all of it is prepared together."""
    folder = tmp_path_factory.mktemp("whole")
    return [span.start for span in prepare_recording(SAMPLE, folder, Options(), no_check).spans]


def claim_declared(source: Path, target: Path, seconds: float) -> Path:
    """A FLAC file whose header declares another duration. FFmpeg decodes it to its end."""
    content = bytearray(source.read_bytes())
    rate = int.from_bytes(content[18:21], "big") >> 4
    rest = int.from_bytes(content[18:26], "big") >> 36
    content[18:26] = (rest << 36 | round(seconds * rate)).to_bytes(8, "big")
    target.write_bytes(content)
    return target


def test_only_the_opening_is_prepared_first(opened: Transcription) -> None:
    assert opened.state == State.PREPARED
    assert opened.analysis.is_opening
    assert bytes(opened.analysis.waveform) == b""
    assert opened.analysis.speech[-1].end < 24 - preparation.CUT_EDGE_S
    assert opened.duration == pytest.approx(43.9, abs=0.1)
    assert Path(opened.audio.path).stat().st_size == pytest.approx(24 * 48_000, rel=0.01)


def test_words_of_the_opening_come_before_the_rest_is_prepared(
    opened: Transcription, monkeypatch: pytest.MonkeyPatch, all_spans: list[float]
) -> None:
    before: list[float] = []

    def prepare_after_the_opening(*arguments: Any) -> Preparation:
        wait_until(lambda: len(starts(opened)) == len(opened.analysis.spans))
        before.extend(starts(opened))
        return prepare_recording(*arguments)

    monkeypatch.setattr(pipeline, "prepare_recording", prepare_after_the_opening)
    assert pipeline.transcribe(opened.id)
    assert before == all_spans[: len(before)]
    assert starts(opened) == all_spans
    assert len(before) < len(all_spans)


def test_transcript_and_usage_are_those_of_the_whole_recording(
    opened: Transcription, span_engine: SpanEngine, alice: User, settings: Any
) -> None:
    assert pipeline.transcribe(opened.id)
    row = fresh(opened)
    assert row.state == State.COMPLETED
    assert not row.analysis.is_opening
    assert max(bytes(row.analysis.waveform)) == 255
    assert row.speech_seconds == pytest.approx(sum(s.end - s.start for s in row.analysis.speech))
    assert row.decode_seconds == pytest.approx(0.1 * len(row.analysis.spans))
    assert charged_ms(alice) == round(1000 * (row.duration or 0))
    assert len(span_engine.calls) == 2
    assert span_engine.calls[1].language is None  # it may have changed
    assert row.steps.filter(phase="decode").count() == 1
    assert [path.suffix for path in stored_files(settings)] == [".source"]


@pytest.mark.slow
def test_whisper_loses_no_words_where_the_opening_ends(upload: Upload) -> None:
    row = upload(SAMPLE)
    assert pipeline.preprocess(row.id)
    assert fresh(row).analysis.is_opening
    assert pipeline.transcribe(row.id)
    assert word_error_rate(SAMPLE_TEXT.read_text(), fresh(row).text) < 0.10


@pytest.mark.slow
@pytest.mark.covers("fault", "The worker is killed while the opening of a recording is recognized")
@pytest.mark.parametrize("fails_at", [1, 2, 3, 4, 5])
def test_nothing_is_lost_or_doubled_after_an_interruption(
    opened: Transcription, span_engine: SpanEngine, all_spans: list[float], fails_at: int
) -> None:
    span_engine.fails_at = fails_at
    assert not pipeline.transcribe(opened.id)
    assert starts(opened) == all_spans[: fails_at - 1]
    expire(opened)
    assert pipeline.transcribe(opened.id)
    assert starts(opened) == all_spans


@pytest.mark.covers("fault", "The worker is killed while the rest of a long recording is prepared")
def test_worker_killed_while_it_prepares_the_rest(
    opened: Transcription, monkeypatch: pytest.MonkeyPatch, all_spans: list[float]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "prepare_recording", raising(SystemExit()))
        with pytest.raises(SystemExit):
            pipeline.transcribe(opened.id)
    assert starts(opened) == all_spans[: len(opened.analysis.spans)]
    expire(opened)
    assert pipeline.transcribe(opened.id)
    assert starts(opened) == all_spans


@pytest.mark.parametrize("end", ["cancel", "shutdown", "engine"])
def test_preparation_of_the_rest_is_stopped(
    opened: Transcription, span_engine: SpanEngine, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    if end == "engine":
        span_engine.fails_at = 2

    def never_ready(*arguments: Any) -> Preparation:
        if end == "cancel":
            commands.cancel(fresh(opened))
        if end == "shutdown":
            leases.shutting_down.set()
        check: Callable[[], None] = arguments[-1]
        while True:
            check()

    monkeypatch.setattr(pipeline, "prepare_recording", never_ready)
    try:
        assert not pipeline.transcribe(opened.id)
    finally:
        leases.shutting_down.clear()
    assert fresh(opened).state == (State.CANCELLED if end == "cancel" else State.PREPARED)
    assert not [t for t in threading.enumerate() if t.name.startswith("preparation")]


@pytest.mark.parametrize("is_slow", [False, True])
def test_rest_is_prepared_after_the_first_words_unless_they_take_long(
    opened: Transcription,
    span_engine: SpanEngine,
    monkeypatch: pytest.MonkeyPatch,
    all_spans: list[float],
    is_slow: bool,
) -> None:
    """An engine may have to start first."""
    monkeypatch.setattr(openings, "START_DELAY_S", 0.0 if is_slow else WAIT_S)
    has_begun = threading.Event()
    known: list[int] = []

    def noted(*arguments: Any) -> Preparation:
        known.append(len(starts(opened)))
        connection.close()
        has_begun.set()
        return prepare_recording(*arguments)

    monkeypatch.setattr(pipeline, "prepare_recording", noted)
    if is_slow:
        span_engine.before_first = lambda: has_begun.wait(WAIT_S)
    assert pipeline.transcribe(opened.id)
    assert (known[0] > 0) != is_slow
    assert starts(opened) == all_spans


def test_resumed_recording_is_prepared_as_a_whole(
    opened: Transcription, span_engine: SpanEngine, all_spans: list[float]
) -> None:
    span_engine.fails_at = 2
    assert not pipeline.transcribe(opened.id)
    commands.cancel(fresh(opened))
    commands.retry(fresh(opened))
    assert pipeline.preprocess(opened.id)
    assert not fresh(opened).analysis.is_opening
    assert pipeline.transcribe(opened.id)
    assert starts(opened) == all_spans


# --- Limits -------------------------------------------------------------------------------------


def test_declared_duration_counts_before_the_engine_is_used(
    upload: Upload, span_engine: SpanEngine, alice: User
) -> None:
    row = upload(SAMPLE)
    assign_plan(alice, max_minutes=0)
    assert not pipeline.preprocess(row.id)
    assert fresh(row).error_code == "too_long"
    assert span_engine.calls == []


def test_header_that_declares_too_much_refuses_nothing(
    upload: Upload, media: Media, tmp_path: Path, alice: User, span_engine: SpanEngine
) -> None:
    source = media.speech("talk.flac")
    row = upload(claim_declared(source, tmp_path / "talk.flac", 3000))
    assign_plan(alice, monthly_minutes=1)
    assert pipeline.preprocess(row.id)
    assert not fresh(row).analysis.is_opening
    assert fresh(row).duration == pytest.approx(43.9, abs=0.1)


@pytest.mark.covers("attack", "A header or times that declare a short recording, to evade a limit")
@pytest.mark.parametrize("name", ["twice.flac", "twice.webm"])
def test_recording_that_is_longer_than_declared_is_refused_and_its_opening_charged(
    upload: Upload, media: Media, tmp_path: Path, alice: User, span_engine: SpanEngine, name: str
) -> None:
    if name == "twice.flac":
        loop = ("-stream_loop", "1", "-i", str(SAMPLE))
        source = claim_declared(media.make(name, *loop), tmp_path / name, 40)
    else:  # the times start again at zero
        source = media.bytes(name, media.speech("live.webm", None, *LIVE).read_bytes() * 2)
    row = upload(source)
    assign_plan(alice, monthly_minutes=1)
    assert pipeline.preprocess(row.id)
    assert fresh(row).analysis.is_opening
    assert not pipeline.transcribe(row.id)
    row = fresh(row)
    assert (row.state, row.error_code) == (State.FAILED, "quota_exceeded")
    assert charged_ms(alice) == round(1000 * row.segments.last().end)  # type: ignore[union-attr]
    failed = UsageRecord.objects.filter(outcome=Outcome.FAILED)
    assert sum(record.decode_ms for record in failed) == 100 * len(span_engine.calls[0].spans)
