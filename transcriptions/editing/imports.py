"""Replaces the text of a transcript with one from a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from transcriptions.durations import clock
from transcriptions.editing.alignment import StoredWord, realign_words
from transcriptions.editing.imported import Imported, ImportRefused
from transcriptions.editing.log import locked, recorded
from transcriptions.editing.placing import Heard, Placement, Token, place
from transcriptions.editing.rebuilding import Draft, sentences
from transcriptions.exceptions import WrongState
from transcriptions.models import EditKind, Segment, Transcription
from transcriptions.models.segment import main_speaker

MAX_CHARACTERS, MAX_WORDS = 1_000_000, 100_000  # several times as much as is spoken in four hours
# How long after the end of the recording subtitles may end: files are cut, and converters round.
END_TOLERANCE_S = 5.0
# English texts about other things shared less than a tenth of their words in order. How low the
# share can be for a bad recognition of the same speech was not measured.
MIN_MATCHING_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class HeardSegment:
    """A segment as it was recognized and as it reads now: both are the same unless it was
    edited."""

    heard: list[Heard]
    words: list[StoredWord]
    decoding: tuple[tuple[float, float, str], Any]  # which segment, and the decoder's statistics
    is_edited: bool


def import_text(row: Transcription, imported: Imported, force: bool = False) -> Placement:
    """Replace the text of `row`. Words that were also recognized keep their times. With `force`,
    import it even if it seems to be the text of another recording.

    Raises WrongState while the recording is processed, and ImportRefused.
    """
    with locked(row, _("The text can be replaced only after processing has finished.")) as found:
        if not found.has_transcript:
            raise WrongState(_("There is no transcript yet."))
        duration = found.duration or 0.0
        _check_times(imported, duration)
        segments = heard_segments(found)
        heard = [each for segment in segments for each in segment.heard]
        placement = place(heard, _tokens(imported), 0.0, duration)
        if not force:
            _check_share(placement)
        with recorded(found, EditKind.IMPORT):
            replace_all_segments(found, sentences(placement.placed), segments)
        return placement


def _tokens(imported: Imported) -> list[Token]:
    if sum(len(cue.text) for cue in imported.cues) <= MAX_CHARACTERS:
        tokens = list(imported.tokens())
        if len(tokens) <= MAX_WORDS:
            return tokens
    values = {"words": MAX_WORDS}
    message = _(
        "There are more than %(words)d words in this file. Is it the text of this recording?"
    )
    raise ImportRefused("too_many_words", message % values)


def heard_segments(row: Transcription) -> list[HeardSegment]:
    """All segments of a transcript, with the words that were recognized."""
    columns = ("number", "start", "end", "text", "language", "words", "recognized", "decoding")
    return [_heard_segment(stored) for stored in row.segments.values(*columns)]


def _heard_segment(stored: dict[str, Any]) -> HeardSegment:
    start, end, text = stored["start"], stored["end"], stored["text"]
    words = stored["words"] or realign_words([], text, start, end)
    is_edited = stored["recognized"] is not None
    recognized = stored["recognized"] if is_edited else words
    heard = [Heard(word, stored["language"], stored["number"]) for word in recognized]
    return HeardSegment(heard, words, ((start, end, text), stored["decoding"]), is_edited)


def _check_times(imported: Imported, duration: float) -> None:
    for cue in imported.cues:
        if cue.end > duration + END_TOLERANCE_S:
            values = {"place": cue.place, "end": clock(cue.end), "duration": clock(duration)}
            message = _(
                "%(place)s: it ends at %(end)s, but the recording is %(duration)s long. "
                "Is this the file of another recording?"
            )
            raise ImportRefused("beyond_recording", message % values)


def _check_share(placement: Placement) -> None:
    if placement.matching_share < MIN_MATCHING_SHARE:
        message = _(
            "Only %(percent)d%% of the words match this recording. Is this the text of another one?"
        ) % {"percent": 100 * placement.matching_share}
        raise ImportRefused("different_text", message)


def replace_all_segments(
    row: Transcription, drafts: Iterable[Draft], present: Sequence[HeardSegment]
) -> None:
    """Replace all segments with these. Triggers update the search index. The decoder's statistics
    belong to a text, so only unchanged segments keep them."""
    decodings = dict(segment.decoding for segment in present)
    new = list(_rows(row, drafts))
    for segment in new:
        segment.decoding = decodings.get((segment.start, segment.end, segment.text))
    row.segments.all().delete()
    Segment.objects.bulk_create(new, batch_size=500)


def _rows(row: Transcription, drafts: Iterable[Draft]) -> Iterator[Segment]:
    for number, draft in enumerate(drafts, 1):
        yield Segment(
            transcription=row,
            number=number,
            start=draft.start,
            end=draft.end,
            text=draft.text,
            words=draft.words,
            language=draft.language,
            channel=draft.channel,
            speaker=main_speaker(draft.words),
            recognized=draft.recognized,
            conflict=draft.conflict,
        )
