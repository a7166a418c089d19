"""The voices of a speaker's segments are compared, from the audio that is still stored.

It is done only when the owner asks whether a speaker is two people. What describes the voices stays
in memory.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from django.db.models import F
from django.utils.translation import gettext as _

from gpu.diarization.splitting import TwoVoices, two_voices
from gpu.types import Cancelled, EngineError, Span
from transcriptions.exceptions import AudioError, LeaseLost, StorageUnavailable
from transcriptions.models import SplitProposal, Transcription, lease_end
from transcriptions.processing.leases import shutting_down
from transcriptions.processing.recognized_voices import spans_by_speaker
from transcriptions.processing.stored_audio import prepared_again
from transcriptions.usage import metering

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
CHECK_INTERVAL_S = 1.0  # between two renewals of the lease


def compare(proposal_id: int) -> None:
    """Do the work on a proposal that waits for it. If that is impossible, it has failed."""
    proposal = _claimed(proposal_id)
    if proposal is None:
        return
    try:
        _store(proposal, *_found(proposal))
    except LeaseLost:
        log.info("%s: the voices are no longer to be compared", proposal)
    except (Cancelled, StorageUnavailable) as error:
        log.warning("%s: the voices will be compared later: %s", proposal, error)
        SplitProposal.objects.filter(id=proposal.id).update(lease_until=None)
    except (AudioError, EngineError, OSError, ValueError) as error:
        log.error("%s: the voices could not be compared: %s", proposal, error)
        _fail(proposal)


def _claimed(proposal_id: int) -> SplitProposal | None:
    """None if there is nothing to do, or another worker does it."""
    due = SplitProposal.objects.due().filter(id=proposal_id)
    if not due.update(lease_until=lease_end(), attempts=F("attempts") + 1):
        return None
    proposal = SplitProposal.objects.select_related("transcription").get(id=proposal_id)
    if proposal.attempts > MAX_ATTEMPTS:  # it has killed workers
        _fail(proposal)
        return None
    return proposal


def _found(proposal: SplitProposal) -> tuple[list[int], TwoVoices | None]:
    """The numbers of the speaker's segments, and what voices are in them. Raises AudioError,
    OSError, EngineError, LeaseLost, Cancelled."""
    row, lease = proposal.transcription, _Lease(proposal)
    numbers, stretches = _stretches(row, proposal.number)
    with prepared_again(row, lease.check) as audio:
        with metering.voices(row, _("Voices compared. Not charged.")):
            return numbers, two_voices(audio, stretches, lease.check)


def _stretches(row: Transcription, number: int) -> tuple[list[int], list[Sequence[Span]]]:
    """The segments with words of a speaker, and where these words are."""
    numbers, stretches = list[int](), list[Sequence[Span]]()
    for segment, words in row.segments.order_by("number").values_list("number", "words"):
        if spans := spans_by_speaker(words).get(number):
            numbers.append(segment)
            stretches.append(spans)
    return numbers, stretches


class _Lease:
    """Renewed by the thread that does the work."""

    def __init__(self, proposal: SplitProposal) -> None:
        self._own = SplitProposal.objects.waiting().filter(
            id=proposal.id, attempts=proposal.attempts
        )
        self._checked_at = time.monotonic()

    def check(self) -> None:
        """Raises Cancelled if the worker shuts down, LeaseLost if nobody waits any more."""
        if shutting_down.is_set():
            raise Cancelled("the worker is shutting down")
        if time.monotonic() - self._checked_at >= CHECK_INTERVAL_S:
            self._checked_at = time.monotonic()
            if not self._own.update(lease_until=lease_end()):
                raise LeaseLost


def _store(proposal: SplitProposal, numbers: list[int], found: TwoVoices | None) -> None:
    if found is None:
        _fail(proposal, _("This speaker says too little to compare voices."))
        return
    segments = [numbers[place] for place in found.parts[1]]
    own = SplitProposal.objects.filter(id=proposal.id)
    own.update(segments=segments, is_clear=found.is_clear, lease_until=None)


def _fail(proposal: SplitProposal, message: str = "") -> None:
    message = message or _("The voices could not be compared.")
    SplitProposal.objects.filter(id=proposal.id).update(error=message, lease_until=None)
