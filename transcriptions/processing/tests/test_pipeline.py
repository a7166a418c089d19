"""The pipeline without errors: once, twice, concurrently, interrupted, and after deletion."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings
from django.db import connection

from transcodio_site.testing import SAMPLE, WAIT_S, Media, wait_until
from transcriptions.models import State, Transcription
from transcriptions.processing import commands, leases, loudness, pipeline, voice_activity
from transcriptions.processing.tests.helpers import (
    FIVE_SENTENCES,
    expire,
    fresh,
    raising,
)
from transcriptions.realtime.messages import event_channel
from transcriptions.testing import ScriptedEngine, Upload, texts

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("check_no_temporary_files"),
]


def test_recording_is_transcribed(upload: Upload, media: Media) -> None:
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
    assert max(bytes(row.analysis.waveform)) == 255
    assert row.decode_seconds > 0


@pytest.mark.covers("fault", "A task is delivered again after its work is done")
def test_completed_recording_is_not_processed_again(
    prepared: Transcription, engine: ScriptedEngine
) -> None:
    assert pipeline.transcribe(prepared.id)
    assert not pipeline.transcribe(prepared.id)
    assert not pipeline.preprocess(prepared.id)
    assert len(engine.calls) == 1
    assert texts(prepared) == FIVE_SENTENCES


@pytest.mark.covers("fault", "The same task is delivered several times at the same time")
def test_concurrent_workers_transcribe_once(
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
    assert texts(prepared) == FIVE_SENTENCES


@pytest.mark.covers("fault", "The worker is killed while it recognizes speech")
def test_crashed_transcription_continues_after_the_last_segment(
    prepared: Transcription, engine: ScriptedEngine
) -> None:
    engine.before = {4: raising(SystemExit())}  # not caught by any handler of the pipeline
    with pytest.raises(SystemExit):
        pipeline.transcribe(prepared.id)
    assert fresh(prepared).state == State.TRANSCRIBING
    assert not pipeline.transcribe(prepared.id)  # its lease has not expired
    expire(prepared)
    engine.before = {}
    assert pipeline.transcribe(prepared.id)
    assert engine.calls[1].spans[0].start == pytest.approx(2.9)  # after the third sentence
    assert engine.calls[1].language is None  # it may have changed
    assert texts(prepared) == FIVE_SENTENCES
    assert fresh(prepared).state == State.COMPLETED


def test_prepared_audio_is_moved_and_not_copied(
    upload: Upload, media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    inodes: list[int] = []
    original = loudness.measure_loudness

    def measure_loudness(path: Path, duration: float) -> loudness.Loudness:
        inodes.append(path.stat().st_ino)
        return original(path, duration)

    monkeypatch.setattr(loudness, "measure_loudness", measure_loudness)
    row = upload(media.speech("talk.mp3", 3))
    assert pipeline.preprocess(row.id)
    assert inodes == [Path(fresh(row).audio.path).stat().st_ino]


def test_temporary_folder_of_killed_worker_is_deleted(
    prepared: Transcription, engine: ScriptedEngine, settings: Any
) -> None:
    def take_over_by_another_process() -> None:
        (folder,) = settings.FILE_UPLOAD_TEMP_DIR.iterdir()
        engine.before = {}
        expire(prepared)
        assert pipeline.transcribe(prepared.id)
        assert not folder.exists()

    engine.before = {2: take_over_by_another_process}  # the killed worker still runs in this test
    assert not pipeline.transcribe(prepared.id)
    assert fresh(prepared).state == State.COMPLETED


@pytest.mark.covers("fault", "A worker continues after another one has taken over its work")
def test_worker_without_lease_writes_nothing(
    prepared: Transcription, engine: ScriptedEngine
) -> None:
    def another_worker_takes_over() -> None:
        engine.before = {}
        expire(prepared)
        assert pipeline.transcribe(prepared.id)

    engine.before = {3: another_worker_takes_over}
    assert not pipeline.transcribe(prepared.id)
    assert texts(prepared) == FIVE_SENTENCES
    assert fresh(prepared).state == State.COMPLETED


@pytest.mark.covers("fault", "A recording is deleted while it is transcribed")
@pytest.mark.parametrize("moment", [1, 3])
def test_deleted_recording_stops_processing(
    prepared: Transcription, engine: ScriptedEngine, moment: int
) -> None:
    engine.before = {moment: lambda: fresh(prepared).delete()}
    assert not pipeline.transcribe(prepared.id)
    assert not pipeline.transcribe(prepared.id)
    assert not Transcription.objects.exists()
    assert not Path(prepared.source.path).exists()
    assert not Path(prepared.audio.path).exists()


@pytest.mark.covers("fault", "A recording is deleted while its audio is prepared")
def test_recording_deleted_during_preparation_leaves_no_file(
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


@pytest.mark.covers("fault", "The worker is stopped while it recognizes speech")
def test_stopping_worker_releases_its_work(prepared: Transcription, engine: ScriptedEngine) -> None:
    engine.before = {3: leases.shutting_down.set}
    try:
        assert not pipeline.transcribe(prepared.id)
    finally:
        leases.shutting_down.clear()
    engine.before = {}
    assert fresh(prepared).attempts == 0  # counts no attempt
    assert list(Transcription.objects.due(State.PREPARED)) == [prepared]
    assert pipeline.transcribe(prepared.id)
    assert texts(prepared) == FIVE_SENTENCES


def test_lease_is_renewed_during_long_work(
    prepared: Transcription, engine: ScriptedEngine, settings: Any
) -> None:
    settings.LEASE_SECONDS = 0.4
    ends: list[Any] = []

    def wait_for_renewal() -> None:
        first = fresh(prepared).progress.lease_until
        wait_until(lambda: fresh(prepared).progress.lease_until != first)
        ends.extend([first, fresh(prepared).progress.lease_until])

    engine.before = {2: wait_for_renewal}
    assert pipeline.transcribe(prepared.id)
    assert ends[1] > ends[0]


@pytest.mark.parametrize("end", [commands.cancel, lambda row: row.delete()])
def test_engine_is_stopped_without_yielding_an_event(
    prepared: Transcription,
    engine: ScriptedEngine,
    settings: Any,
    end: Callable[[Transcription], None],
) -> None:
    """While the engine decodes long speech, it only calls `stopped`."""
    settings.LEASE_SECONDS = 24 * 3600  # the next renewal would be too late to notice
    stopped = False

    def end_and_wait_until_stopped() -> None:
        nonlocal stopped
        end(fresh(prepared))
        wait_until(engine.stopped)
        stopped = True

    engine.before = {2: end_and_wait_until_stopped}
    assert not pipeline.transcribe(prepared.id)
    assert stopped


def test_partials_are_published_before_their_segment_and_not_stored(
    prepared: Transcription, engine: ScriptedEngine
) -> None:
    published: list[tuple[str, int]] = []
    with (
        redis.Redis.from_url(settings.REDIS_URL) as client,
        client.pubsub(ignore_subscribe_messages=True) as channel,
    ):
        channel.subscribe(event_channel(prepared.id))

        def receive_until(kind: str, number: int) -> None:
            while (kind, number) not in published:
                if message := channel.get_message(timeout=WAIT_S):
                    event = json.loads(message["data"])
                    published.append((event["type"], event["id"]))

        engine.send_partials = True
        engine.before[3] = lambda: receive_until("partial", 2)
        assert pipeline.transcribe(prepared.id)
        receive_until("complete", 6)
    assert texts(prepared) == FIVE_SENTENCES
    second_segment = published.index(("progress", 2))
    assert second_segment < published.index(("partial", 2)) < published.index(("progress", 3))
