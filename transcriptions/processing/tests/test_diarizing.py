"""Speakers are detected during recognition, and never delay or fail it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import Outcome, UsageRecord
from gpu.diarization.types import Diarization, Turn
from gpu.types import EngineError, Segment, Unreachable, Word
from transcodio_site.testing import SAMPLE, WAIT_S, Media, wait_until
from transcodio_site.testing_media import CHANGES_S
from transcriptions import testing
from transcriptions.models import AudioAnalysis, Options, State, Transcription
from transcriptions.processing import channels, commands, diarizing, pipeline, preparation
from transcriptions.processing.tests.diarizers import FINAL, ScriptedDiarizer
from transcriptions.processing.tests.helpers import SpanEngine, expire, fresh, raising
from transcriptions.processing.tests.test_channels import call
from transcriptions.realtime.stored import read_events
from transcriptions.schemas.events import SpeakersEvent
from transcriptions.schemas.transcripts import SegmentOut
from transcriptions.testing import ScriptedEngine, Upload, prepare_again, texts

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("check_no_temporary_files"),
]

ALL = Turn(0.0, 10.0, 1)


@pytest.fixture
def row(prepared: Transcription) -> Transcription:
    """A recording whose speakers are to be told apart."""
    return wanted(prepared)


def wanted(row: Transcription, **options: Any) -> Transcription:
    row.stored_options = Options(diarize=True, **options).as_json()
    row.save(update_fields=["stored_options"])
    return row


def speakers(row: Transcription) -> list[int | None]:
    """Of the segments. That of a segment of one word is that of the word."""
    segments = list(row.segments.all())
    assert all(s.words[0].get("speaker") == s.speaker for s in segments if len(s.words) == 1)
    return [segment.speaker for segment in segments]


def set_when(event: threading.Event, condition: Callable[[], bool]) -> threading.Thread:
    """Set the event as soon as the condition is true. Returns the thread that waits for it."""

    def run() -> None:
        wait_until(condition)
        event.set()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def changes(row: Transcription, known: int = 0) -> list[SpeakersEvent]:
    """What a client gets that resumes after the last segment and knows so many changes."""
    events = read_events(row.id, row.segment_count, known).events
    return [event for event in events if isinstance(event, SpeakersEvent)]


@pytest.mark.usefixtures("engine")
def test_words_have_speakers_when_the_recording_is_complete(
    row: Transcription, diarizer: ScriptedDiarizer
) -> None:
    assert pipeline.transcribe(row.id)
    assert speakers(row) == [1, 1, 2, 2, 2]
    assert [(s.number, s.name) for s in row.speakers.all()] == [(1, ""), (2, "")]
    row = fresh(row)
    assert (row.state, row.note) == (State.COMPLETED, "")
    assert row.decode_seconds > 0.5  # with the time of the diarizer
    assert UsageRecord.objects.get().decode_seconds == pytest.approx(row.decode_seconds, abs=1e-3)


@pytest.mark.usefixtures("engine")
def test_words_are_marked_where_several_people_speak(
    row: Transcription, diarizer: ScriptedDiarizer
) -> None:
    turns = (ALL, Turn(2.9, 4.0, 2))
    diarizer.results = [Diarization(turns, 10.0, is_final=True)]
    assert pipeline.transcribe(row.id)
    assert speakers(row) == [1, 1, 1, 2, 1]  # who speaks less has the word
    assert [segment.words[0].get("overlap") for segment in row.segments.all()] == (
        [None, None, None, True, None]
    )
    segments = [SegmentOut.of(segment).model_dump() for segment in row.segments.all()]
    assert [segment["words"][0].get("overlap") for segment in segments] == (
        [None, None, None, True, None]
    )
    (event,) = changes(row)
    assert [each.overlap for each in event.segments] == [[], [], [], [1], []]


@pytest.mark.usefixtures("engine")
def test_speakers_are_told_apart_only_if_asked_for(
    prepared: Transcription, diarizer: ScriptedDiarizer
) -> None:
    assert pipeline.transcribe(prepared.id)
    assert (speakers(prepared), diarizer.calls) == ([None] * 5, [])
    assert not prepared.speakers.exists()


@pytest.mark.usefixtures("engine")
def test_diarizer_gets_all_of_the_speech_and_the_limits(
    prepared: Transcription, diarizer: ScriptedDiarizer
) -> None:
    assert pipeline.transcribe(wanted(prepared, min_speakers=2, max_speakers=3).id)
    ((audio, limits),) = diarizer.calls
    assert (limits.minimum, limits.maximum) == (2, 3)
    assert [(span.start, span.end) for span in audio.spans] == [(0.0, 10.0)]


def test_diarizer_starts_after_the_first_segment_is_stored(
    row: Transcription, engine: ScriptedEngine, diarizer: ScriptedDiarizer
) -> None:
    stored: list[int] = []
    diarizer.before[1] = lambda: stored.append(row.segments.count())
    engine.before = {2: lambda: wait_until(lambda: bool(stored))}
    assert pipeline.transcribe(row.id)
    assert stored == [1]


def test_segments_get_the_speakers_that_are_known_and_change_when_more_is(
    row: Transcription, engine: ScriptedEngine, diarizer: ScriptedDiarizer
) -> None:
    diarizer.results = [Diarization((Turn(0.0, 3.0, 1),), 3.0), FINAL]
    may_end, seen = threading.Event(), list[list[int | None]]()
    diarizer.before[2] = lambda: may_end.wait(WAIT_S)
    engine.before = {
        2: lambda: wait_until(lambda: diarizer.yielded == 1),
        5: lambda: seen.append(speakers(row)),
    }
    set_when(may_end, lambda: len(seen) > 0)
    assert pipeline.transcribe(row.id)
    assert seen == [[1, 1, 1, None]]
    assert speakers(row) == [1, 1, 2, 2, 2]
    (event,) = changes(row)
    assert (event.id, event.change) == (5, 2)  # the first segment, then the last three
    assert [each.speaker for each in event.segments] == [1, 1, 2, 2, 2]
    assert changes(row, known=2) == []


def test_new_segments_are_divided_where_the_speaker_changes(
    row: Transcription,
    engine: ScriptedEngine,
    diarizer: ScriptedDiarizer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def two_words(number: int) -> Segment:
        start = number - 1.0
        return Segment((Word(start, start + 0.4, "Yes."), Word(start + 0.5, start + 0.9, "No.")))

    monkeypatch.setattr(testing, "spoken", two_words)
    turns = (Turn(0.0, 2.45, 1), Turn(2.45, 9.0, 2))
    diarizer.results = [Diarization(turns, 9.0), Diarization(turns, 10.0, is_final=True)]
    engine.before = {2: lambda: wait_until(lambda: diarizer.yielded >= 1)}
    assert pipeline.transcribe(row.id)
    assert texts(row) == ["Yes. No.", "Yes. No.", "Yes.", "No.", "Yes. No.", "Yes. No."]
    assert speakers(row) == [1, 1, 1, 2, 2, 2]
    assert [segment.number for segment in row.segments.all()] == [1, 2, 3, 4, 5, 6]


@pytest.mark.covers("fault", "The diarizer fails after it has detected some speakers")
@pytest.mark.parametrize("error", [EngineError("no weights"), MemoryError()])
def test_transcript_is_complete_without_speakers_if_the_diarizer_fails(
    row: Transcription,
    engine: ScriptedEngine,
    diarizer: ScriptedDiarizer,
    error: BaseException,
    caplog: pytest.LogCaptureFixture,
) -> None:
    diarizer.results = [Diarization((ALL,), 9.0), FINAL]
    diarizer.before[2] = raising(error)
    engine.before = {3: lambda: wait_until(lambda: diarizer.yielded == 1)}
    with caplog.at_level(logging.ERROR):
        assert pipeline.transcribe(row.id)
    assert (fresh(row).state, fresh(row).note) == (
        State.COMPLETED,
        "The speakers could not be detected.",
    )
    assert speakers(row) == [None] * 5
    assert not row.speakers.exists()
    assert type(error).__name__ in caplog.text


@pytest.mark.usefixtures("engine")
@pytest.mark.covers("fault", "The diarizer hangs")
def test_diarizer_that_hangs_is_given_up(
    row: Transcription,
    diarizer: ScriptedDiarizer,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended, result = threading.Event(), diarizing._BackgroundDiarizer.result

    def impatient(*arguments: Any) -> Diarization:
        settings.ENGINE_SILENCE_SECONDS = 0.1  # only now: the speech engine may be slow
        return result(*arguments)

    monkeypatch.setattr(diarizing._BackgroundDiarizer, "result", impatient)
    diarizer.before[1] = lambda: set_when(ended, lambda: diarizer.stopped()).join()
    assert pipeline.transcribe(row.id)
    assert fresh(row).note == "The speakers could not be detected."
    assert ended.wait(WAIT_S)


@pytest.mark.usefixtures("engine")
def test_unknown_diarizer_fails_no_recording(row: Transcription, settings: Any) -> None:
    settings.DIARIZER = "crystal-ball"
    assert pipeline.transcribe(row.id)
    assert fresh(row).note == "The speakers could not be detected."


@pytest.mark.covers("fault", "The worker is killed before the speakers of all words are known")
def test_all_speakers_are_right_after_a_crash(
    row: Transcription, engine: ScriptedEngine, diarizer: ScriptedDiarizer
) -> None:
    diarizer.results = [Diarization((Turn(0.0, 10.0, 7),), 9.0), FINAL]
    held = threading.Event()
    diarizer.before[2] = lambda: held.wait(WAIT_S)
    engine.before = {
        2: lambda: wait_until(lambda: diarizer.yielded == 1),
        4: raising(Unreachable("connection lost")),
    }
    set_when(held, lambda: diarizer.stopped())
    assert not pipeline.transcribe(row.id)
    assert speakers(row) == [7, 7, 7]
    expire(row)
    engine.before, diarizer.before = {}, {}
    assert pipeline.transcribe(row.id)
    assert texts(row) == [f"Sentence {n}." for n in range(1, 6)]
    assert speakers(row) == [1, 1, 2, 2, 2]
    assert [audio.spans[0].start for audio, _ in diarizer.calls] == [0.0, 0.0]


@pytest.mark.usefixtures("engine")
def test_cancelling_does_not_wait_for_the_diarizer(
    row: Transcription, diarizer: ScriptedDiarizer
) -> None:
    def cancel() -> None:
        wait_until(lambda: row.segments.count() == 5)
        commands.cancel(fresh(row))
        wait_until(lambda: diarizer.stopped())

    diarizer.before[1] = cancel
    assert not pipeline.transcribe(row.id)
    assert fresh(row).state == State.CANCELLED
    assert not row.speakers.exists()


@pytest.mark.usefixtures("engine")
def test_recording_without_speech_needs_no_diarizer(
    row: Transcription, diarizer: ScriptedDiarizer
) -> None:
    AudioAnalysis.objects.filter(transcription=row).update(spans=[])
    assert pipeline.transcribe(row.id)
    assert fresh(row).state == State.COMPLETED
    assert diarizer.calls == []


@pytest.mark.usefixtures("span_engine")
def test_all_of_a_long_recording_is_diarized_when_its_rest_is_prepared(
    upload: Upload, diarizer: ScriptedDiarizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparation, "OPENINGS_S", (24.0,))
    monkeypatch.setattr(preparation, "MIN_LONG_S", 30.0)
    row = wanted(upload(SAMPLE))
    assert pipeline.preprocess(row.id)
    assert fresh(row).analysis.is_opening
    diarizer.results = [Diarization((Turn(0.0, 50.0, 1),), 50.0, is_final=True)]
    assert pipeline.transcribe(row.id)
    ((audio, _),) = diarizer.calls
    assert audio.spans == fresh(row).analysis.speech
    assert set(speakers(row)) == {1}


@pytest.mark.usefixtures("span_engine")
def test_two_voices_are_told_apart_and_one_voice_is_one_speaker(
    upload: Upload, media: Media
) -> None:
    rows = [wanted(upload(path)) for path in (media.two_voices("talk.wav"), SAMPLE)]
    for row in rows:
        assert pipeline.preprocess(row.id)
        assert pipeline.transcribe(row.id)
    assert speakers(rows[0]) == [
        1 + sum(segment.start > change for change in CHANGES_S) % 2
        for segment in rows[0].segments.all()
    ]
    assert {*speakers(rows[0])} == {1, 2}
    assert {*speakers(rows[1])} == {1}


def test_channels_that_are_kept_apart_are_speakers(
    upload: Upload,
    media: Media,
    span_engine: SpanEngine,
    diarizer: ScriptedDiarizer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channels, "FIRST_PART_S", 1.0)
    row = wanted(upload(call(media)), channels="separate")
    assert pipeline.preprocess(row.id)
    span_engine.fails_at = len(fresh(row).analysis.spans)
    assert not pipeline.transcribe(row.id)
    assert speakers(row)[0] == 1
    expire(fresh(row))
    span_engine.fails_at = 0
    assert pipeline.transcribe(row.id)
    assert [s.channel for s in row.segments.all()] == [(n or 0) - 1 for n in speakers(row)]
    assert [s.number for s in row.speakers.all()] == [1, 2]
    assert diarizer.calls == []
    assert changes(row) == []  # they were right from the beginning


def test_speakers_are_published_before_the_next_segment_comes(
    row: Transcription, engine: ScriptedEngine, diarizer: ScriptedDiarizer
) -> None:
    diarizer.results = [Diarization((ALL,), 9.0), FINAL]
    diarizer.before[2] = lambda: wait_until(lambda: engine.stopped() or len(seen) > 0)
    seen = list[list[int | None]]()

    def wait() -> None:
        wait_until(lambda: speakers(row)[:1] == [1])
        seen.append(speakers(row))

    engine.before = {3: wait}  # two segments are stored, and no other one comes
    assert pipeline.transcribe(row.id)
    assert seen == [[1, 1]]
    assert speakers(row) == [1, 1, 2, 2, 2]


@pytest.mark.covers("fault", "The engine is lost after the diarizer has worked")
@pytest.mark.parametrize(("gpu", "is_metered"), [("", True), ("L4", False)])
def test_time_of_the_diarizer_is_metered_if_the_work_is_interrupted(
    row: Transcription,
    engine: ScriptedEngine,
    diarizer: ScriptedDiarizer,
    gpu: str,
    is_metered: bool,
) -> None:
    def compute() -> None:
        end = time.thread_time() + 0.5
        while time.thread_time() < end:
            pass

    engine.gpu = gpu
    diarizer.results = [Diarization((ALL,), 9.0), FINAL]
    diarizer.before = {1: compute, 2: lambda: wait_until(lambda: diarizer.stopped())}
    engine.before = {
        2: lambda: wait_until(lambda: diarizer.yielded == 1),
        3: raising(Unreachable("connection lost")),
    }
    assert not pipeline.transcribe(row.id)
    interrupted = UsageRecord.objects.get()
    assert interrupted.outcome == Outcome.INTERRUPTED
    assert (interrupted.decode_seconds >= 0.2 + 0.5) == is_metered  # two segments, and the diarizer


@pytest.mark.usefixtures("engine")
def test_names_are_kept_if_a_recording_is_recognized_again(
    row: Transcription, diarizer: ScriptedDiarizer, api: Client
) -> None:
    assert pipeline.transcribe(row.id)
    row.speakers.filter(number=1).update(name="Anna")
    row.speakers.filter(number=2).update(name="Ben")
    url = f"/api/transcriptions/{row.id}/recognize"
    created = api.post(url, {}, content_type="application/json").json()
    again = Transcription.objects.get(id=created["id"])
    prepare_again(again)
    turns = (Turn(0.0, 2.0, 2), Turn(2.0, 10.0, 1))
    diarizer.results = [Diarization(turns, 10.0, is_final=True)]
    assert pipeline.transcribe(again.id)
    assert speakers(again) == [2, 2, 1, 1, 1]
    assert [(s.number, s.name) for s in again.speakers.all()] == [(1, "Ben"), (2, "Anna")]
