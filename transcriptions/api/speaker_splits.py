"""A speaker who may be two people: which voice speaks in which segments."""

from __future__ import annotations

import uuid

from django.http import Http404, HttpRequest
from django.utils.translation import gettext as _
from ninja import Router, Status

from transcriptions import permissions
from transcriptions.api import openapi
from transcriptions.api.errors import ApiError
from transcriptions.api.transcriptions import CONFLICT, NOT_FOUND
from transcriptions.exceptions import AudioDeleted, TooManyProposals, UnknownSpeaker, WrongState
from transcriptions.models import SplitProposal
from transcriptions.processing import split_proposals
from transcriptions.schemas.split_proposals import SplitProposalOut

router = Router(tags=["transcriptions"])
PATH = "/transcriptions/{id:transcription_id}/speakers/{int:number}/split/proposal"


@router.post(PATH, response={202: SplitProposalOut, **CONFLICT}, openapi_extra=openapi.COMPARE)
def propose_split(
    request: HttpRequest, transcription_id: uuid.UUID, number: int
) -> Status[SplitProposalOut]:
    """Compare the voices of a speaker's segments in the background, from the stored audio, to split
    a speaker who is really two people. Nothing is changed, and no data about voices is stored.
    Until the transcript changes, repeating the request has no effect."""
    row = permissions.transcription_for(request.user, transcription_id)
    try:
        proposal = split_proposals.propose(row, number)
    except UnknownSpeaker as error:
        raise Http404(str(error)) from None
    except TooManyProposals as error:
        raise ApiError(409, "too_many_proposals", str(error)) from None
    except AudioDeleted as error:
        raise ApiError(409, "audio_deleted", str(error)) from None
    except WrongState as error:
        raise ApiError(409, "not_completed", str(error)) from None
    return Status(202, _shown(proposal))


@router.get(PATH, response={200: SplitProposalOut, **NOT_FOUND}, openapi_extra=openapi.PROPOSAL)
def read_split_proposal(
    request: HttpRequest, transcription_id: uuid.UUID, number: int
) -> SplitProposalOut:
    """How a speaker could be split. To do it, send the `segments` of the second voice with the
    `revision`. 404 if no proposal was requested since the last change of the transcript."""
    row = permissions.transcription_for(request.user, transcription_id)
    proposal = split_proposals.present(row, number)
    if proposal is None:
        raise Http404(_("The voices of this speaker have not been compared."))
    return _shown(proposal)


def _shown(proposal: SplitProposal) -> SplitProposalOut:
    segments = proposal.transcription.segments.only("number", "words").order_by("number")
    return SplitProposalOut.of(proposal, segments)
