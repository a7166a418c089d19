"""Changes that an owner makes to a transcript."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext as _

from transcriptions.editing.alignment import realign_words
from transcriptions.editing.speakers import Part, assign
from transcriptions.exceptions import EditConflict, WrongState
from transcriptions.models import Segment, Transcription


def rename(row: Transcription, title: str) -> None:
    """Change the title. A trigger updates the search index."""
    Transcription.objects.filter(id=row.id).update(title=title)
    row.title = title


def correct(
    row: Transcription, number: int, text: str, expected_text: str | None = None
) -> Segment:
    """Replace the text of a segment; words that stay the same keep their times.

    Raises WrongState while the recording is processed, EditConflict if the segment's text is not
    `expected_text`, and Segment.DoesNotExist.
    """
    with transaction.atomic():
        locked = Transcription.objects.select_for_update().get(id=row.id)
        if not locked.is_finished:
            raise WrongState(_("Segments can be edited when processing has ended."))
        segment = locked.segments.get(number=number)
        if expected_text is not None:
            _check_unchanged(segment, expected_text, text)
        _change_text(segment, text)
        return segment


def edit(
    row: Transcription,
    number: int,
    text: str | None,
    expected_text: str | None = None,
    speaker: int | None = None,
) -> Segment:
    """Change the text of a segment, its speaker, or both, in one transaction. Raises what `correct`
    and `assign` do."""
    with transaction.atomic():
        if speaker is not None:
            assign(row, [Part(number)], speaker)
        if text is not None:
            correct(row, number, text, expected_text)
        return row.segments.get(number=number)


def _change_text(segment: Segment, text: str) -> None:
    """Store a text of a person. What was recognized is kept the first time."""
    start, end = segment.start, segment.end
    if text != segment.text:
        words = segment.words or realign_words([], segment.text, start, end)
        segment.recognized = words if segment.recognized is None else segment.recognized
        segment.words, segment.text = realign_words(words, text, start, end), text
        segment.decoding = None  # it was about the text before
    segment.conflict = ""
    segment.save(update_fields=["text", "words", "recognized", "decoding", "conflict"])


def _check_unchanged(segment: Segment, expected_text: str, text: str) -> None:
    """Raises EditConflict. The same edit sent twice is no conflict."""
    if segment.text.split() not in (expected_text.split(), text.split()):
        message = _("Someone else edited this. It now reads: “%(text)s”") % {"text": segment.text}
        raise EditConflict(message)
