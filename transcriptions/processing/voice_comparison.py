"""The voices of a speaker's segments are compared, from the audio that is still stored.

It is done only when the owner asks whether a speaker is two people. What describes the voices stays
in memory.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from gpu.diarization.splitting import TwoVoices, two_voices
from gpu.types import Cancelled, EngineError, Span
from transcriptions.exceptions import AudioError, LeaseLost, StorageUnavailable
from transcriptions.models import SplitProposal, Transcription, lease_end
from transcriptions.models.split_proposal import SplitProposalQuerySet
from transcriptions.processing.leases import shutting_down
from transcriptions.processing.recognized_voices import spans_by_speaker
from transcriptions.processing.stored_audio import prepared_again
from transcriptions.usage import metering

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
CHECK_INTERVAL_S = 1.0  # between two renewals of the lease


def compare(proposal_id: int) -> None:
    """Do the work on a proposal that waits for it. If that is impossible, it has failed."""
    lease = _claimed(proposal_id)
    if lease is None:
        return
    proposal = lease.proposal
    try:
        lease.end(**_result(*_found(lease)))
    except LeaseLost:
        log.info("%s: the voices are no longer to be compared", proposal)
    except (Cancelled, StorageUnavailable) as error:
        log.warning("%s: the voices will be compared later: %s", proposal, error)
        lease.release()
    except (AudioError, EngineError, OSError, ValueError) as error:
        log.error("%s: the voices could not be compared: %s", proposal, error)
        lease.fail()


def discard(row: Transcription, proposals: SplitProposalQuerySet) -> None:
    """Delete proposals of a locked recording. A worker that has one loses it; what was used until
    then is recorded."""
    for proposal in proposals.select_for_update(no_key=True):
        _record(row, proposal.decode_seconds)
        proposal.delete()


def discard_before_delete(
    sender: type[Transcription], instance: Transcription, **kwargs: Any
) -> None:
    """Receiver of `pre_delete`, after that of `lifecycle`, which has locked the recording."""
    discard(instance, SplitProposal.objects.filter(transcription=instance))


def _claimed(proposal_id: int) -> _Lease | None:
    """None if there is nothing to do, or another worker does it."""
    due = SplitProposal.objects.due().filter(id=proposal_id)
    if not due.update(lease_until=lease_end(), attempts=F("attempts") + 1):
        return None
    found = SplitProposal.objects.select_related("transcription").filter(id=proposal_id).first()
    if found is None:  # deleted meanwhile
        return None
    lease = _Lease(found)
    if found.attempts > MAX_ATTEMPTS:  # it has killed workers
        lease.fail()
        return None
    return lease


def _found(lease: _Lease) -> tuple[list[int], TwoVoices | None]:
    """The numbers of the speaker's segments, and what voices are in them. Raises AudioError,
    OSError, EngineError, LeaseLost, Cancelled."""
    row = lease.proposal.transcription
    numbers, stretches = _stretches(row, lease.proposal.number)
    with prepared_again(row, lease.check) as audio:
        lease.start_metering()
        return numbers, two_voices(audio, stretches, lease.check)


def _stretches(row: Transcription, number: int) -> tuple[list[int], list[Sequence[Span]]]:
    """The segments with words of a speaker, and where these words are."""
    numbers, stretches = list[int](), list[Sequence[Span]]()
    for segment, words in row.segments.order_by("number").values_list("number", "words"):
        if spans := spans_by_speaker(words).get(number):
            numbers.append(segment)
            stretches.append(spans)
    return numbers, stretches


def _result(numbers: list[int], found: TwoVoices | None) -> dict[str, Any]:
    """The fields that say what was found."""
    if found is None:
        return {"error": _("This speaker says too little to compare voices.")}
    segments = [numbers[place] for place in found.parts[1]]
    return {"segments": segments, "is_clear": found.is_clear}


class _Lease:
    """Renewed by the thread that does the work. What it uses is stored with it, so that it is
    recorded even if the worker is killed."""

    def __init__(self, proposal: SplitProposal) -> None:
        self.proposal = proposal
        self._own = SplitProposal.objects.waiting().filter(
            id=proposal.id, attempts=proposal.attempts
        )
        self._started_at: float | None = None  # on the clock of the thread
        self._checked_at = time.monotonic()

    def start_metering(self) -> None:
        """The time of the CPU from now on counts."""
        self._started_at = time.thread_time()

    def check(self) -> None:
        """Raises Cancelled if the worker shuts down, LeaseLost if nobody waits any more."""
        if shutting_down.is_set():
            raise Cancelled("the worker is shutting down")
        if time.monotonic() - self._checked_at >= CHECK_INTERVAL_S:
            self._checked_at = time.monotonic()
            if not self._own.update(lease_until=lease_end(), decode_seconds=self._used()):
                raise LeaseLost

    def release(self) -> None:
        """Another worker continues. Does nothing if the lease is lost."""
        self._own.update(lease_until=None, decode_seconds=self._used())

    def fail(self) -> None:
        """It is impossible. Does nothing if the lease is lost."""
        with suppress(LeaseLost):
            self.end(error=_("The voices could not be compared."))

    def end(self, **result: Any) -> None:
        """Store the result, and record the usage of all attempts. Raises LeaseLost."""
        values = {"lease_until": None, "decode_seconds": 0.0} | result
        with transaction.atomic():
            rows = Transcription.objects.filter(id=self.proposal.transcription_id)
            row = rows.select_for_update(no_key=True).first()
            if row is None or not self._own.update(**values):
                raise LeaseLost
            _record(row, self._used())

    def _used(self) -> float:
        """Seconds, with those of earlier attempts."""
        own = 0.0 if self._started_at is None else time.thread_time() - self._started_at
        return self.proposal.decode_seconds + own


def _record(row: Transcription, seconds: float) -> None:
    metering.record_voices(row, seconds, _("Voices compared. Not charged."))
