"""The voices of a speaker's segments are compared, from the audio that is still stored.

It is done only when the owner asks whether a speaker is two people. What describes the voices stays
in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.utils.translation import gettext as _

from gpu.diarization.splitting import TwoVoices, two_voices
from gpu.types import Span
from transcriptions.models import SplitProposal, Transcription
from transcriptions.processing.recognized_voices import spans_by_speaker
from transcriptions.processing.stored_audio import prepared_again
from transcriptions.processing.voice_requests import Lease, Store, run


def compare(proposal_id: int) -> None:
    """Do the work on a proposal that waits for it. If that is impossible, it has failed."""
    run(SplitProposal.objects.all(), proposal_id, _found, _fail)


def _found(lease: Lease[SplitProposal]) -> Store[SplitProposal]:
    """Find out what voices are in the speaker's segments. Raises AudioError, OSError, EngineError,
    LeaseLost, Cancelled."""
    row = lease.request.transcription
    numbers, stretches = _stretches(row, lease.request.number)
    with prepared_again(row, lease.check) as audio:
        lease.start_metering()
        return partial(_store, values=_result(numbers, two_voices(audio, stretches, lease.check)))


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


def _store(proposal: SplitProposal, values: dict[str, Any]) -> None:
    SplitProposal.objects.filter(id=proposal.id).update(**values)


def _fail(proposal: SplitProposal) -> None:
    _store(proposal, {"error": _("The voices could not be compared.")})
