"""Commands of an owner: which segments of a speaker are by another voice."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext as _

from transcriptions import queue
from transcriptions.editing.log import revision_of
from transcriptions.editing.speakers import speaker_for_update
from transcriptions.exceptions import AudioDeleted, TooManyProposals, WrongState
from transcriptions.models import SplitProposal, Transcription
from transcriptions.processing import tasks, voice_requests

MAX_WAITING = 5  # of an account


def propose(row: Transcription, number: int) -> SplitProposal:
    """Compare the voices of a speaker's segments in the background, unless that is being done or
    was done for the present transcript.

    Raises WrongState, AudioDeleted, UnknownSpeaker, TooManyProposals.
    """
    with transaction.atomic():
        locked = Transcription.objects.select_for_update().get(id=row.id)
        if not locked.is_finished:
            raise WrongState(_("Speakers can be edited only after processing has finished."))
        speaker_for_update(locked, number)
        if not locked.source:
            raise AudioDeleted(_("The audio of this recording has been deleted."))
        revision = revision_of(locked)
        earlier = locked.split_proposals.filter(number=number).first()
        if earlier and earlier.revision == revision and not earlier.error:
            return earlier
        voice_requests.discard(SplitProposal.objects.filter(transcription=locked, number=number))
        waiting = SplitProposal.objects.waiting().filter(transcription__owner=locked.owner_id)
        if waiting.count() >= MAX_WAITING:
            raise TooManyProposals(_("Wait until other voices have been compared."))
        proposal = locked.split_proposals.create(number=number, revision=revision)
        transaction.on_commit(lambda: queue.enqueue(tasks.compare_voices, proposal.id))
        return proposal


def present(row: Transcription, number: int) -> SplitProposal | None:
    """That which was asked for, if the transcript is the same as then."""
    return row.split_proposals.filter(number=number, revision=revision_of(row)).first()
