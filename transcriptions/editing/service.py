"""Changes that an owner makes to a transcript."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext as _

from transcriptions.editing.replacing import NewSegment, Replacement, replace_segments
from transcriptions.editing.speakers import Part, assign
from transcriptions.exceptions import EditConflict
from transcriptions.models import Segment, Transcription


@transaction.atomic
def rename(row: Transcription, title: str, expected_title: str | None = None) -> None:
    """Change the title. A trigger updates the search index.

    Raises EditConflict if the title is neither `expected_title` nor the new one already.
    """
    locked = Transcription.objects.select_for_update().filter(id=row.id)
    for present in locked.values_list("title", flat=True):
        if expected_title is not None and present.split() not in (
            expected_title.split(),
            title.split(),
        ):
            message = _("Someone else changed the title to “%(title)s”.") % {"title": present}
            raise EditConflict(message)
        locked.update(title=title)
    row.title = title


def correct(
    row: Transcription,
    number: int,
    text: str,
    expected_text: str | None = None,
    speaker: int | None = None,
) -> Segment:
    """Replace the text of a segment, and set its speaker; unchanged words keep their times.

    Raises WrongState while the recording is processed, EditConflict if the segment's text is not
    `expected_text`, UnknownSpeaker, and Segment.DoesNotExist.
    """
    expected = None if expected_text is None else [expected_text]
    done = replace_segments(
        row, [Replacement(number, number, [NewSegment(text, speaker)], expected)]
    )
    for first, _count, (changed,) in done.replaced:
        return Segment(transcription=row, number=first, **changed)
    return row.segments.get(number=number)


def edit(
    row: Transcription,
    number: int,
    text: str | None,
    expected_text: str | None = None,
    speaker: int | None = None,
) -> Segment:
    """Change the text of a segment, its speaker, or both. Raises what `correct` does."""
    if text is not None:
        return correct(row, number, text, expected_text, speaker)
    if speaker is not None:
        assign(row, [Part(number)], speaker)
    return row.segments.get(number=number)
