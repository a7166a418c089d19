"""What a diarizer with a GPU of its own has used is in the ledger."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import UsageRecord
from gpu.diarization.types import Diarization, Turn
from gpu.types import EngineError, UsageDelta
from transcodio_site.testing import wait_until
from transcriptions.models import Options, State, Transcription
from transcriptions.processing import commands, diarizing, pipeline
from transcriptions.processing.tests.diarizers import ScriptedDiarizer
from transcriptions.processing.tests.helpers import fresh, raising
from transcriptions.testing import ScriptedEngine

pytestmark = pytest.mark.django_db(transaction=True)

ALIVE = Diarization((), 0.0, usage=UsageDelta(2.0, "L4"))
FINAL = Diarization((Turn(0.0, 10.0, 1),), 10.0, is_final=True, usage=UsageDelta(5.0, "L4"))


@pytest.fixture
def diarizer(monkeypatch: pytest.MonkeyPatch) -> ScriptedDiarizer:
    """Replaces the embedded one: it shows that it is alive, and then tells speakers apart."""
    scripted = ScriptedDiarizer([ALIVE, FINAL])
    monkeypatch.setattr(diarizing, "get_diarizer", lambda name: scripted)
    return scripted


@pytest.fixture
def row(prepared: Transcription) -> Transcription:
    """A recording whose speakers are to be told apart."""
    prepared.stored_options = Options(diarize=True).as_json()
    prepared.save(update_fields=["stored_options"])
    return prepared


def recorded() -> Any:
    """Seconds and the type of the GPU."""
    record = UsageRecord.objects.get()
    return record.decode_seconds, record.gpu_type


@pytest.mark.usefixtures("engine", "diarizer")
def test_seconds_of_a_gpu_that_is_paid_are_those_of_the_recording(row: Transcription) -> None:
    assert pipeline.transcribe(row.id)
    assert recorded() == (pytest.approx(5.0), "L4")  # those of the engine have no price
    assert {segment.speaker for segment in row.segments.all()} == {1}


@pytest.mark.usefixtures("engine")
def test_seconds_here_count_with_those_of_the_engine(
    row: Transcription, diarizer: ScriptedDiarizer
) -> None:
    diarizer.results = [Diarization((), 10.0, is_final=True, usage=UsageDelta(5.0))]
    assert pipeline.transcribe(row.id)
    assert recorded() == (pytest.approx(5.5), "")


@pytest.mark.usefixtures("engine")
@pytest.mark.covers("fault", "A diarizer that is paid by the second fails")
def test_failure_has_been_paid_for(row: Transcription, diarizer: ScriptedDiarizer) -> None:
    diarizer.before[2] = raising(EngineError("it broke"))
    assert pipeline.transcribe(row.id)
    assert fresh(row).note == "The speakers could not be detected."
    assert recorded() == (pytest.approx(2.0), "L4")


def test_recording_that_is_cancelled_has_been_paid_for(
    row: Transcription, engine: ScriptedEngine, diarizer: ScriptedDiarizer
) -> None:
    diarizer.before[2] = lambda: wait_until(lambda: diarizer.stopped())
    engine.before = {3: lambda: wait_until(lambda: diarizer.yielded == 1)}

    def cancel() -> None:
        commands.cancel(fresh(row))
        wait_until(lambda: engine.stopped())

    engine.before[4] = cancel
    assert not pipeline.transcribe(row.id)
    assert fresh(row).state == State.CANCELLED
    by_gpu = {record.gpu_type: record.decode_seconds for record in UsageRecord.objects.all()}
    assert by_gpu["L4"] == pytest.approx(2.0)
