"""Requests about voices: comparisons, and voices to learn. Their workers may be killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone

from accounts.models import Outcome, UsageRecord
from accounts.usage import rebuild
from gpu.diarization import voices
from gpu.types import Unreachable
from transcodio_site.testing import ROOT, wait_until
from transcriptions import queue
from transcriptions.editing.service import correct
from transcriptions.editing.speakers import merge_speakers
from transcriptions.exceptions import StorageUnavailable
from transcriptions.models import SplitProposal, Transcription, Voice, VoiceLearning, VoiceUse
from transcriptions.models.voice_request import VoiceRequest, VoiceRequestQuerySet
from transcriptions.processing import leases, tasks, voice_comparison, voice_requests
from transcriptions.processing.kept_voices import delete_voices, keep_voice
from transcriptions.processing.split_proposals import propose
from transcriptions.processing.tests.helpers import worker_environment

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("check_no_temporary_files"),
]


@dataclass(frozen=True)
class Kind:
    """One kind of request: how it is made, which task does it, and what listens then."""

    requests: Callable[[], VoiceRequestQuerySet[Any]]
    make: Callable[[Transcription], VoiceRequest]
    task: Callable[[str], None]
    listener: tuple[Any, str]
    is_done: Callable[[], bool]
    error: Callable[[], str]

    def work(self) -> None:
        """Do what the worker does with the request."""
        self.task(str(self.requests().get().pk))

    def listens(self, monkeypatch: pytest.MonkeyPatch, listen: Callable[..., object]) -> None:
        """Let it be `listen` that listens, with a check in every call of `check`."""
        monkeypatch.setattr(voice_requests, "CHECK_INTERVAL_S", 0.0)
        monkeypatch.setattr(*self.listener, listen)


def learn_anna(row: Transcription) -> VoiceLearning:
    keep_voice(row, 1)
    return VoiceLearning.objects.get()


COMPARISON = Kind(
    SplitProposal.objects.all,
    lambda row: propose(row, 1),
    tasks.compare_voices,
    (voice_comparison, "two_voices"),
    lambda: SplitProposal.objects.filter(segments__len__gt=0).exists(),
    lambda: SplitProposal.objects.get().error,
)
LEARNING = Kind(
    VoiceLearning.objects.all,
    learn_anna,
    tasks.learn_voice,
    (voices, "describe"),
    lambda: Voice.objects.filter(recordings=1, speakers__voice_use=VoiceUse.LEARNED).exists(),
    lambda: Voice.objects.get().error,
)


@pytest.fixture(params=[COMPARISON, LEARNING], ids=["comparison", "learning"])
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


def used() -> float:
    """The seconds that are not in the ledger yet."""
    models = SplitProposal, VoiceLearning
    return sum(r.decode_seconds for model in models for r in model._default_manager.all())


def ledger() -> list[float]:
    """The seconds of each row about voices."""
    records = UsageRecord.objects.filter(outcome=Outcome.SPEAKERS, billed=False)
    return [record.decode_seconds for record in records]


def end_lease(kind: Kind) -> None:
    """Let time pass until the lease of a worker that was lost has expired."""
    kind.requests().update(lease_until=timezone.now() - timedelta(seconds=1))


def checking(error: BaseException | None = None) -> Callable[..., object]:
    """Something that listens: it checks, and then has this error."""

    def listen(path: object, speech: object, check: Callable[[], None]) -> object:
        check()
        if error:
            raise error
        return None

    return listen


LISTENING = """
import sys, time, django
django.setup()
from importlib import import_module
from transcriptions.processing import tasks, voice_requests
task, request_id, module, function = sys.argv[1:]
voice_requests.CHECK_INTERVAL_S = 0.0
def listen(path, speech, check):
    while True:
        check()
        time.thread_time() > 30 and sys.exit("nobody has killed it")
setattr(import_module(module), function, listen)
getattr(tasks, task)(request_id)
"""


@pytest.mark.slow
@pytest.mark.covers("fault", "The worker is killed while it compares the voices of a speaker")
@pytest.mark.covers("fault", "The worker is killed while it learns a voice")
def test_work_of_a_killed_worker_is_metered_once(
    merged: Transcription, settings: Any, kind: Kind
) -> None:
    request, (module, function) = kind.make(merged), kind.listener
    arguments = [kind.task.__name__, str(request.pk), module.__name__, function]
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENING, *arguments], cwd=ROOT, env=worker_environment(settings)
    )
    try:
        wait_until(lambda: used() > 0.1 or process.poll() is not None)
    finally:
        process.kill()
        process.wait()
    killed_after_s = used()
    assert killed_after_s > 0.1
    assert ledger() == []
    assert kind.make(merged) == request
    end_lease(kind)
    kind.work()
    (decode_seconds,) = ledger()
    assert decode_seconds > round(killed_after_s, 3)
    assert used() == 0
    assert kind.is_done()
    kind.task(str(request.pk))  # the message of before
    merged.delete()
    assert ledger() == [decode_seconds]
    assert rebuild.count_differences() == 0


@pytest.mark.covers("fault", "Every worker that compares or learns a voice is killed")
def test_request_that_kills_workers_fails_and_can_be_made_again(
    merged: Transcription, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    with monkeypatch.context() as patch:
        kind.listens(patch, checking(SystemExit()))
        kind.make(merged)
        for _ in range(voice_requests.MAX_ATTEMPTS):
            with pytest.raises(SystemExit):
                kind.work()
            assert not kind.requests().due().exists()
            kind.work()  # another worker does not have it
            end_lease(kind)
        kind.requests().update(decode_seconds=3.0)
        kind.work()
    assert "could not be" in kind.error()
    assert not kind.requests().due().exists()
    assert ledger() == [3.0]
    kind.make(merged)
    assert kind.requests().due().get().attempts == 0
    assert kind.error() == ""
    kind.work()
    assert kind.is_done()
    assert kind.error() == ""


def test_request_fails_if_the_storage_stays_away(
    merged: Transcription, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    kind.listens(monkeypatch, checking(StorageUnavailable("away")))
    kind.make(merged)
    for _ in range(voice_requests.MAX_ATTEMPTS):
        assert kind.error() == ""
        kind.work()
    kind.work()
    assert "could not be" in kind.error()


def test_shutdown_of_a_worker_is_no_attempt(merged: Transcription, kind: Kind) -> None:
    kind.make(merged)
    leases.shutting_down.set()
    try:
        for _ in range(voice_requests.MAX_ATTEMPTS + 1):
            kind.work()
    finally:
        leases.shutting_down.clear()
    assert kind.requests().due().get().attempts == 0
    kind.work()
    assert kind.is_done()


def test_failure_is_metered(
    merged: Transcription, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    kind.listens(monkeypatch, checking(Unreachable("away")))
    kind.make(merged)
    kind.requests().update(decode_seconds=3.0)
    kind.work()
    assert "could not be" in kind.error()
    assert sum(ledger()) == pytest.approx(3.0, abs=0.5)


@pytest.mark.covers("fault", "The clock is set back while a worker has a request about voices")
def test_request_is_due_again_when_the_clock_was_set_back(
    merged: Transcription, kind: Kind
) -> None:
    kind.make(merged)
    kind.requests().update(lease_until=timezone.now() + timedelta(hours=1))
    assert kind.requests().due().exists()


@pytest.mark.parametrize(
    "disturb",
    [
        lambda kind: Transcription.objects.get().delete(),
        lambda kind: kind.requests().update(attempts=F("attempts") + 1),
    ],
    ids=["deleted", "taken over"],
)
def test_worker_stops_when_nobody_waits_for_it(
    merged: Transcription,
    monkeypatch: pytest.MonkeyPatch,
    kind: Kind,
    disturb: Callable[[Kind], object],
) -> None:
    kind.make(merged)
    original = getattr(*kind.listener)

    def listen(*arguments: object) -> object:
        kind.requests().update(decode_seconds=3.0)
        disturb(kind)
        return original(*arguments)

    kind.listens(monkeypatch, listen)
    kind.work()
    assert not kind.is_done()
    assert kind.requests().count() == kind.requests().waiting().count()
    assert used() + sum(ledger()) == 3.0  # recorded by the deletion, or later by the other worker


def test_usage_of_a_proposal_that_is_replaced_is_metered_once(merged: Transcription) -> None:
    proposal = propose(merged, 1)
    SplitProposal.objects.update(decode_seconds=3.0)  # its worker was killed
    correct(merged, 1, "Another sentence.")
    assert propose(merged, 1) != proposal
    assert ledger() == [3.0]
    voice_comparison.compare(proposal.id)  # the message of before
    merged.delete()
    assert ledger() == [3.0]


def test_usage_of_a_voice_that_is_deleted_meanwhile_is_metered_once(merged: Transcription) -> None:
    learning = learn_anna(merged)
    VoiceLearning.objects.update(decode_seconds=3.0)  # its worker was killed
    delete_voices(merged.owner)
    assert (ledger(), Voice.objects.count()) == ([3.0], 0)
    tasks.learn_voice(str(learning.id))
    assert learn_anna(merged) != learning
    LEARNING.work()
    assert LEARNING.is_done()


def test_voice_of_a_speaker_who_is_merged_meanwhile_is_learned(merged: Transcription) -> None:
    keep_voice(merged, 1)
    merged.speakers.create(number=2)
    merge_speakers(merged, 1, 2)
    LEARNING.work()
    assert LEARNING.is_done()
    assert merged.speakers.get().number == 2


def test_speaker_who_waits_without_a_request_gets_one(
    merged: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueued = list[tuple[object, ...]]()
    monkeypatch.setattr(queue, "enqueue", lambda *message: enqueued.append(message))
    voice = Voice.objects.create(owner=merged.owner, name="Anna")
    merged.speakers.update(voice=voice, voice_use=VoiceUse.WAITING)  # by an earlier release
    for _ in range(2):
        tasks.learn_waiting_voices()
    assert enqueued == 2 * [(tasks.learn_voice, VoiceLearning.objects.get().id)]
    LEARNING.work()
    assert LEARNING.is_done()
    tasks.learn_waiting_voices()
    assert not VoiceLearning.objects.exists()
