"""Metering: the charge of an attempt, and the usage of its engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import ApiToken, Outcome, UsageDay, UsageRecord, User
from gpu.types import Audio, Complete, EngineError, EngineEvent, UsageDelta
from transcodio_site.testing import Media
from transcriptions.models import Progress, State, Transcription
from transcriptions.processing import commands, leases, lifecycle, pipeline
from transcriptions.testing import ScriptedEngine, add_segment, charged_ms, prepare_again, send

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/api/transcriptions"


def test_completed_recording_is_charged_by_duration_with_engine_usage(
    alice: User, prepared: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = lifecycle.claim(prepared.id, State.TRANSCRIBING)
    assert row is not None
    add_segment(row, 1)
    lifecycle.mark_completed(
        row, Complete(10.0, 0.5, queue_seconds=0.25, load_seconds=4.0, gpu="L4")
    )
    entry = UsageRecord.objects.get()
    assert (entry.user_id, entry.transcription) == (alice.pk, prepared.id)
    assert (entry.outcome, entry.billed, entry.audio_ms) == (Outcome.COMPLETED, True, 10_000)
    assert (entry.decode_ms, entry.queue_ms, entry.load_ms) == (500, 250, 4000)
    assert entry.gpu_type == "L4"
    assert entry.cost_micro_usd == round(500 * entry.nano_usd_per_second / 1_000_000) > 100
    assert charged_ms(alice) == 10_000


def test_ledger_records_the_token(
    alice: User, api: Client, media: Media, engine: ScriptedEngine
) -> None:
    send(api, URL, media.speech("speech.mp3", 6).read_bytes(), "a.mp3")
    row = Transcription.objects.get()
    assert pipeline.preprocess(row.id)
    assert pipeline.transcribe(row.id)
    assert UsageRecord.objects.get().token == ApiToken.objects.get()


def test_failure_is_not_charged(
    alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    engine.before[3] = lambda: 1 / 0
    pipeline.transcribe(prepared.id)
    entry = UsageRecord.objects.get()
    assert (entry.outcome, entry.billed) == (Outcome.FAILED, False)
    assert "internal_error" in entry.reason
    assert charged_ms(alice) == 0


def test_cancelled_and_resumed_recording_is_charged_once(
    alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    engine.before[3] = lambda: 1 / 0
    pipeline.transcribe(prepared.id)
    engine.before[3] = lambda: commands.cancel(prepared)
    prepared.refresh_from_db()
    commands.retry(prepared)
    prepare_again(prepared)
    pipeline.transcribe(prepared.id)
    assert charged_ms(alice) == 1900  # to the end of the second segment
    engine.before.clear()
    prepared.refresh_from_db()
    commands.retry(prepared)
    prepare_again(prepared)
    assert pipeline.transcribe(prepared.id)
    assert charged_ms(alice) == 10_000
    outcomes = UsageRecord.objects.order_by("id").values_list("outcome", flat=True)
    assert list(outcomes) == ["failed", "cancelled", "interrupted", "completed"]


def test_cancellation_before_transcription_is_not_charged(
    alice: User, prepared: Transcription
) -> None:
    commands.cancel(prepared)
    entry = UsageRecord.objects.get()
    assert (entry.outcome, entry.billed, entry.audio_ms) == (Outcome.CANCELLED, False, 0)
    assert entry.reason == "Cancelled. Not charged."


def test_recording_without_speech_is_not_charged(
    alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    engine.sentences = 0
    assert pipeline.transcribe(prepared.id)
    entry = UsageRecord.objects.get()
    assert (entry.outcome, entry.billed, entry.audio_ms) == (Outcome.COMPLETED, False, 0)
    assert entry.reason == "No speech found. Not charged."


def test_recording_deleted_during_transcription_is_charged_for_the_part_processed(
    alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    engine.before[3] = lambda: Transcription.objects.get().delete()
    assert not pipeline.transcribe(prepared.id)
    assert not Transcription.objects.exists()
    assert charged_ms(alice) == 1900
    entry = UsageRecord.objects.get(billed=True)
    assert entry.transcription == prepared.id
    assert entry.reason == "Cancelled. Charged for the part processed."


def test_deleting_a_finished_recording_keeps_its_charge(
    alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    assert pipeline.transcribe(prepared.id)
    prepared.delete()
    assert charged_ms(alice) == 10_000
    assert UsageRecord.objects.count() == 1


# --- Usage of the engine, charged or not --------------------------------------------------------


def engine_usage(row: UsageRecord) -> tuple[str, int, int, bool]:
    """Outcome, decode time in ms, cost in micro-dollars, and whether it was charged."""
    return row.outcome, row.decode_ms, row.cost_micro_usd, row.billed


def test_engine_usage_of_a_failure_is_recorded(
    alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    engine.gpu = "L4"
    engine.before[3] = lambda: 1 / 0
    pipeline.transcribe(prepared.id)
    entry = UsageRecord.objects.get()
    assert engine_usage(entry) == ("failed", 200, entry.cost_micro_usd, False)  # two segments
    assert entry.gpu_type == "L4"
    assert entry.cost_micro_usd == round(200 * entry.nano_usd_per_second / 1_000_000) > 40
    assert UsageDay.objects.get().decode_ms == 200


def test_usage_is_recorded_for_the_engine_of_the_attempt(
    prepared: Transcription,
    engine: ScriptedEngine,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine.before[2] = lambda: 1 / 0
    pipeline.transcribe(prepared.id)

    def fail(audio: Audio, stopped: Callable[[], bool]) -> Iterator[EngineEvent]:
        yield UsageDelta(0.0, "L4", load_seconds=5.0)  # before its first segment
        raise EngineError("out of memory")

    monkeypatch.setattr(engine, "stream", fail)
    settings.STT_ENGINE = "modal"
    commands.retry(Transcription.objects.get())
    prepare_again(prepared)
    pipeline.transcribe(prepared.id)
    second, first = UsageRecord.objects.all()
    assert (first.engine, first.model) == ("whisper", "scripted-1")
    assert (second.engine, second.model, second.gpu_type) == ("modal", "", "L4")


def test_gpu_without_a_price_is_logged_and_noted(
    prepared: Transcription, engine: ScriptedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.gpu = "B300"
    engine.before[3] = lambda: 1 / 0
    pipeline.transcribe(prepared.id)
    entry = UsageRecord.objects.get()
    assert engine_usage(entry) == ("failed", 200, 0, False)
    assert entry.reason.endswith("The price of the GPU (B300) is unknown and not included.")
    assert "no price is known for the GPU B300" in caplog.text


@pytest.mark.parametrize("command", ["cancel", "delete"])
def test_engine_usage_before_a_cancellation_is_recorded(
    alice: User, prepared: Transcription, engine: ScriptedEngine, command: str
) -> None:
    run: Callable[[Transcription], Any]
    run = {"cancel": commands.cancel, "delete": lambda row: row.delete()}[command]
    engine.before[3] = lambda: run(Transcription.objects.get())
    pipeline.transcribe(prepared.id)
    of_owner, of_worker = UsageRecord.objects.order_by("id")
    assert engine_usage(of_owner) == ("cancelled", 200, 0, True)
    assert engine_usage(of_worker) == (
        "interrupted",
        100,
        0,
        False,
    )  # the third segment was discarded
    assert [(r.queue_ms, r.load_ms) for r in (of_owner, of_worker)] == [(400, 3000), (0, 0)]
    day = UsageDay.objects.get()
    assert (day.attempts, day.decode_ms) == (1, 300)


def test_engine_usage_before_a_worker_shutdown_is_recorded(
    alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    engine.before[3] = leases.shutting_down.set
    try:
        pipeline.transcribe(prepared.id)
    finally:
        leases.shutting_down.clear()
    engine.before.clear()
    assert pipeline.transcribe(prepared.id)
    *interrupted, completed = UsageRecord.objects.order_by("id")
    # Two rows if the lease was released by another thread, before the last usage was saved.
    assert sum(record.decode_ms for record in interrupted) == 300
    assert {engine_usage(record)[2:] for record in interrupted} == {(0, False)}
    assert engine_usage(completed) == ("completed", 500, 0, True)
    assert charged_ms(alice) == 10_000
    assert UsageDay.objects.get().attempts == 1


def expire_lease() -> None:
    """Let the lease of a dead worker expire, and be noticed."""
    Progress.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    lifecycle.recover(Transcription.objects.with_expired_lease())


def test_engine_usage_of_a_killed_worker_is_recorded(
    alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    def die() -> None:
        raise KeyboardInterrupt  # nothing in the pipeline catches it and records usage

    engine.before[3] = die
    engine.gpu = "L4"
    with pytest.raises(KeyboardInterrupt):
        pipeline.transcribe(prepared.id)
    assert not UsageRecord.objects.exists()
    engine.before.clear()
    expire_lease()
    assert pipeline.transcribe(prepared.id)
    first, second = UsageRecord.objects.order_by("id")
    assert engine_usage(first)[:2] == ("interrupted", 200)  # the two segments stored
    assert (first.queue_ms, first.load_ms) == (400, 3000)  # saved with the segments
    assert first.cost_micro_usd > 40
    assert engine_usage(second)[:2] == ("completed", 500)
    assert charged_ms(alice) == 10_000


def test_returning_stuck_worker_counts_nothing_twice(
    alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    def stuck() -> None:
        engine.before.clear()
        expire_lease()
        assert pipeline.transcribe(prepared.id)  # by another worker

    engine.before[3] = stuck
    assert not pipeline.transcribe(prepared.id)
    expired, completed, returned = UsageRecord.objects.order_by("id")
    assert engine_usage(expired)[:2] == ("interrupted", 200)
    assert engine_usage(completed)[:2] == ("completed", 500)
    assert engine_usage(returned)[:2] == ("interrupted", 100)
    assert charged_ms(alice) == 10_000
    assert UsageDay.objects.get().attempts == 1
