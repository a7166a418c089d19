"""The way of one recording: whole, run twice, interrupted, deleted, and refused."""

from __future__ import annotations

import errno
import os
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from gpu.types import (
    DeviceGone,
    DeviceLost,
    EngineError,
    NotTried,
    Unreachable,
    UnsupportedLanguage,
)
from transcodio_site.testing import SAMPLE, WAIT_S, Media, wait_until
from transcriptions.models import State, Transcription
from transcriptions.processing import commands, leases, pipeline, voice_activity
from transcriptions.processing.lifecycle import MAX_ATTEMPTS
from transcriptions.realtime import streams
from transcriptions.schemas.events import Event
from transcriptions.testing import ScriptedEngine, Upload, texts

pytestmark = pytest.mark.django_db(transaction=True)

FIVE = [f"Sentence {n}." for n in range(1, 6)]


@pytest.fixture(autouse=True)
def nothing_temporary_is_left(tmp_path: Path) -> Iterator[None]:
    """Whatever happened to a recording, its scratch folder is gone."""
    yield
    assert list((tmp_path / "tmp").glob("*")) == []


def fresh(row: Transcription) -> Transcription:
    return Transcription.objects.get(id=row.id)


def expire(row: Transcription) -> None:
    """What time does to the lease of a worker that is gone."""
    past = timezone.now() - timedelta(seconds=1)
    Transcription.objects.filter(id=row.id).update(lease_until=past)


def raising(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def test_a_recording_becomes_a_transcript(upload: Upload, media: Media) -> None:
    row = upload(media.speech("talk.ogg", 14))
    assert pipeline.preprocess(row.id)
    assert fresh(row).state == State.PREPARED
    assert pipeline.transcribe(row.id)
    row = fresh(row)
    assert (row.state, row.language, row.error_code, row.note) == (State.COMPLETED, "en", "", "")
    assert row.format == "ogg"
    assert row.duration == pytest.approx(row.segments.last().end, abs=3)  # type: ignore[union-attr]
    assert [s.number for s in row.segments.all()] == list(range(1, row.segments.count() + 1))
    assert all(s.words[0]["start"] == s.start for s in row.segments.all())
    assert max(row.peaks) == 100
    assert row.decode_seconds > 0


def test_done_work_is_not_done_again(prepared: Transcription, engine: ScriptedEngine) -> None:
    assert pipeline.transcribe(prepared.id)
    assert not pipeline.transcribe(prepared.id)
    assert not pipeline.preprocess(prepared.id)
    assert len(engine.asked) == 1
    assert texts(prepared) == FIVE


def test_two_workers_never_share_a_recording(
    prepared: Transcription, engine: ScriptedEngine
) -> None:
    start = threading.Barrier(4)
    done: list[bool] = []

    def work() -> None:
        start.wait()
        done.append(pipeline.transcribe(prepared.id))
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [False, False, False, True]
    assert texts(prepared) == FIVE


def test_a_crash_costs_only_what_was_not_stored(
    prepared: Transcription, engine: ScriptedEngine
) -> None:
    engine.before = {4: raising(SystemExit())}  # no handler of ours may catch this
    with pytest.raises(SystemExit):
        pipeline.transcribe(prepared.id)
    assert fresh(prepared).state == State.TRANSCRIBING
    assert not pipeline.transcribe(prepared.id)  # its lease still runs
    expire(prepared)
    engine.before = {}
    assert pipeline.transcribe(prepared.id)
    assert engine.asked[1].spans[0].start == pytest.approx(2.9)  # after the third sentence
    assert engine.asked[1].language == "en"  # decided once
    assert texts(prepared) == FIVE
    assert fresh(prepared).state == State.COMPLETED


def test_prepared_audio_is_moved_to_its_place_and_not_copied(
    upload: Upload, media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    look = voice_activity.find_peaks

    def find_peaks(path: Path, duration: float) -> list[int]:
        made.append(path.stat().st_ino)
        return look(path, duration)

    monkeypatch.setattr(voice_activity, "find_peaks", find_peaks)
    row = upload(media.speech("talk.mp3", 3))
    assert pipeline.preprocess(row.id)
    assert made == [Path(fresh(row).audio.path).stat().st_ino]


def test_the_scratch_folder_of_who_was_killed_is_gone_when_its_row_is_taken_over(
    prepared: Transcription, engine: ScriptedEngine, settings: Any
) -> None:
    def taken_over_by_another_process() -> None:
        (folder,) = settings.FILE_UPLOAD_TEMP_DIR.iterdir()
        engine.before = {}
        expire(prepared)
        assert pipeline.transcribe(prepared.id)
        assert not folder.exists()

    engine.before = {2: taken_over_by_another_process}  # whoever had the row is still there
    assert not pipeline.transcribe(prepared.id)
    assert fresh(prepared).state == State.COMPLETED


def test_who_lost_the_lease_writes_nothing_more(
    prepared: Transcription, engine: ScriptedEngine
) -> None:
    def somebody_else_takes_over() -> None:
        engine.before = {}
        expire(prepared)
        assert pipeline.transcribe(prepared.id)

    engine.before = {3: somebody_else_takes_over}
    assert not pipeline.transcribe(prepared.id)
    assert texts(prepared) == FIVE
    assert fresh(prepared).state == State.COMPLETED


@pytest.mark.parametrize("moment", [1, 3])
def test_a_deleted_recording_stops_quietly(
    prepared: Transcription, engine: ScriptedEngine, moment: int
) -> None:
    engine.before = {moment: lambda: fresh(prepared).delete()}
    assert not pipeline.transcribe(prepared.id)
    assert not pipeline.transcribe(prepared.id)
    assert not Transcription.objects.exists()
    assert not Path(prepared.source.path).exists()
    assert not Path(prepared.audio.path).exists()


def test_a_recording_deleted_while_it_is_prepared_leaves_no_file(
    upload: Upload, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    row = upload(SAMPLE)
    find_speech = voice_activity.find_speech

    def delete_first(*arguments: Any) -> Any:
        fresh(row).delete()
        return find_speech(*arguments)

    monkeypatch.setattr(voice_activity, "find_speech", delete_first)
    assert not pipeline.preprocess(row.id)
    assert [p for p in Path(settings.MEDIA_ROOT).rglob("*") if p.is_file()] == []


def test_a_stopping_worker_hands_its_work_back(
    prepared: Transcription, engine: ScriptedEngine
) -> None:
    engine.before = {3: leases.shutting_down.set}
    try:
        assert not pipeline.transcribe(prepared.id)
    finally:
        leases.shutting_down.clear()
    engine.before = {}
    assert fresh(prepared).attempts == 0  # not the recording's fault
    assert list(Transcription.objects.with_expired_lease()) == [prepared]
    assert pipeline.transcribe(prepared.id)
    assert texts(prepared) == FIVE


def test_long_work_keeps_its_lease(
    prepared: Transcription, engine: ScriptedEngine, settings: Any
) -> None:
    settings.LEASE_SECONDS = 0.4
    seen: list[Any] = []

    def wait_for_a_renewal() -> None:
        first = fresh(prepared).lease_until
        wait_until(lambda: fresh(prepared).lease_until != first)
        seen.extend([first, fresh(prepared).lease_until])

    engine.before = {2: wait_for_a_renewal}
    assert pipeline.transcribe(prepared.id)
    assert seen[1] > seen[0]


def test_what_is_not_even_tried_is_no_attempt(
    prepared: Transcription, engine: ScriptedEngine
) -> None:
    engine.before = {1: raising(NotTried("it has just failed"))}
    for _ in range(MAX_ATTEMPTS + 2):
        assert not pipeline.transcribe(prepared.id)
        row = fresh(prepared)
        assert (row.state, row.attempts) == (State.PREPARED, 0)
        expire(row)


@pytest.mark.parametrize(("error", "ends"), [(DeviceLost, False), (DeviceGone, True)])
def test_a_lost_gpu_is_waited_for_and_a_process_that_has_lost_it_for_good_ends(
    prepared: Transcription,
    engine: ScriptedEngine,
    monkeypatch: pytest.MonkeyPatch,
    error: type[DeviceLost],
    ends: bool,
) -> None:
    signals: list[Any] = []
    monkeypatch.setattr(os, "kill", lambda *given: signals.append(given))
    engine.before = {3: raising(error("CUDA error"))}
    assert not pipeline.transcribe(prepared.id)
    row = fresh(prepared)
    assert (row.state, row.attempts, texts(row)) == (State.PREPARED, 1, FIVE[:2])
    assert signals == [(os.getpid(), signal.SIGTERM)] * ends


@pytest.mark.parametrize("end", [commands.cancel, lambda row: row.delete()])
def test_engine_is_stopped_without_waiting_for_the_lease_to_be_renewed(
    prepared: Transcription,
    engine: ScriptedEngine,
    settings: Any,
    end: Callable[[Transcription], None],
) -> None:
    """An engine that decodes for a long time, and learns of it by `stopped` alone."""
    settings.LEASE_SECONDS = 100 * WAIT_S

    def wait_for_the_end() -> None:
        end(fresh(prepared))
        wait_until(engine.stopped)

    engine.before = {2: wait_for_the_end}
    assert not pipeline.transcribe(prepared.id)
    assert engine.stopped()


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (EngineError("CUDA says no"), "engine_failed", "try again"),
        (UnsupportedLanguage("xx"), "unsupported_language", "another one"),
        (RuntimeError("a bug"), "internal_error", "on our side"),
        (
            OSError(errno.ENOSPC, "no space"),
            "disk_full",
            "not enough disk space",
        ),
    ],
)
def test_what_goes_wrong_becomes_a_sentence(
    prepared: Transcription, engine: ScriptedEngine, error: Exception, code: str, words: str
) -> None:
    engine.before = {2: raising(error)}
    assert not pipeline.transcribe(prepared.id)
    row = fresh(prepared)
    assert (row.state, row.error_code) == (State.FAILED, code)
    assert words in row.error_message
    assert str(error) not in row.error_message  # that is for the operator's log
    assert texts(row) == FIVE[:1]  # what was recognised stays


def test_an_engine_that_cannot_be_reached_is_waited_for(
    prepared: Transcription, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "RETRY_DELAY_S", 3600.0)
    engine.before = {3: raising(Unreachable("Modal is away"))}
    began = timezone.now()
    assert not pipeline.transcribe(prepared.id)
    ended, delay = timezone.now(), timedelta(hours=1)
    row = fresh(prepared)
    assert (row.state, texts(row)) == (State.PREPARED, FIVE[:2])
    assert row.lease_until is not None
    assert began + delay <= row.lease_until <= ended + delay
    assert not Transcription.objects.with_expired_lease().exists()  # nobody is rung for until then
    engine.before = {}
    assert pipeline.transcribe(prepared.id)
    assert texts(fresh(prepared)) == FIVE


def test_but_not_for_ever(prepared: Transcription, engine: ScriptedEngine) -> None:
    engine.before = {1: raising(Unreachable("Modal is away"))}
    for _ in range(MAX_ATTEMPTS):
        assert not pipeline.transcribe(prepared.id)
    row = fresh(prepared)
    assert (row.state, row.error_code) == (State.FAILED, "engine_unreachable")
    assert "try again later" in row.error_message


def test_a_recording_that_kills_its_workers_is_given_up(
    prepared: Transcription, engine: ScriptedEngine
) -> None:
    engine.before = {1: raising(SystemExit())}
    for _ in range(MAX_ATTEMPTS):
        with pytest.raises(SystemExit):
            pipeline.transcribe(prepared.id)
        expire(prepared)
    assert not pipeline.transcribe(prepared.id)
    assert fresh(prepared).state == State.FAILED


def test_silence_is_said_plainly_and_no_engine_is_asked(
    upload: Upload, media: Media, engine: ScriptedEngine
) -> None:
    row = upload(media.silence("silence.wav", 3))
    assert pipeline.preprocess(row.id)
    assert pipeline.transcribe(row.id)
    row = fresh(row)
    assert (row.state, texts(row), engine.asked) == (State.COMPLETED, [], [])
    assert "No speech was found" in row.note


def test_a_truncated_recording_gives_what_it_holds_and_says_so(
    upload: Upload, media: Media
) -> None:
    whole = media.speech("whole.flac", 12).read_bytes()
    row = upload(media.bytes("cut.flac", whole[: len(whole) // 2]))
    assert pipeline.preprocess(row.id)
    row = fresh(row)
    assert row.duration == pytest.approx(6, abs=1)
    assert "ends early" in row.note


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("noise.mp3", b"\xff\xfb\x90\x64" + b"not really an MP3" * 400, "corrupt_media"),
        ("header.wav", b"RIFF\x24\x00\x00\x00WAVEfmt ", "corrupt_media"),
        (
            "half.m4a",
            b"\x00\x00\x00\x18ftypM4A \x00\x00\x00\x00M4A isom" + bytes(500),
            "corrupt_media",
        ),
    ],
)
def test_damaged_media_fails_with_a_sentence(
    upload: Upload, media: Media, name: str, content: bytes, code: str
) -> None:
    row = upload(media.bytes(name, content))
    assert not pipeline.preprocess(row.id)
    row = fresh(row)
    assert (row.state, row.error_code) == (State.FAILED, code)
    assert "damaged" in row.error_message


def test_a_film_without_sound_is_refused(upload: Upload, media: Media) -> None:
    row = upload(media.silent_film("silent.mp4"))
    assert not pipeline.preprocess(row.id)
    assert fresh(row).error_code == "no_audio"


def test_a_recording_that_is_too_long_is_refused(
    upload: Upload, media: Media, settings: Any
) -> None:
    settings.MAX_DURATION_SECONDS = 5
    row = upload(media.silence("long.mp3", 60))
    assert not pipeline.preprocess(row.id)
    row = fresh(row)
    assert row.error_code == "too_long"
    assert "5 s" in row.error_message


def test_early_words_are_announced_before_their_segment_and_not_stored(
    prepared: Transcription, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    announce = streams.publish
    heard: list[tuple[str, int]] = []

    def publish(id: uuid.UUID, event: Event) -> None:
        announce(id, event)
        heard.append((event.type, event.id))

    class ManualTimer:
        """Fires when the test calls its function."""

        started: list[ManualTimer] = []

        def __init__(self, interval: float, function: Callable[[], None]) -> None:
            self.function = function

        def start(self) -> None:
            self.started.append(self)

    monkeypatch.setattr(streams, "publish", publish)
    monkeypatch.setattr(threading, "Timer", ManualTimer)
    engine.early = True
    engine.before[3] = lambda: ManualTimer.started[0].function()
    assert pipeline.transcribe(prepared.id)
    assert texts(prepared) == FIVE
    assert heard.index(("progress", 2)) < heard.index(("partial", 2)) < heard.index(("progress", 3))
    assert [number for kind, number in heard if kind == "partial"] == [2]  # one timer has fired
    assert len(ManualTimer.started) == 2  # one at a time
