"""Carries the edits of a transcript over to a later recognition of the same recording."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from transcriptions.editing.imports import (
    MIN_MATCHING_SHARE,
    HeardSegment,
    heard_segments,
    replace_all_segments,
)
from transcriptions.editing.merging import Edit, Merge, drafts_of, edits_of
from transcriptions.models import Transcription


def carry_over_edits(row: Transcription) -> str:
    """Merge the edits of `row.previous` into the segments of `row`. Return a remark for the owner;
    empty if there were no edits. Must be called in a transaction that has locked `row`."""
    if row.previous is None:
        return ""
    earlier = heard_segments(row.previous)
    if not any(segment.is_edited for segment in earlier):
        return ""
    if row.edits.exists():  # between its cancellation and its resumption
        return _(
            "The edits of the earlier transcript were not carried over, because this one has been "
            "edited, too."
        )
    segments = heard_segments(row)
    later = [each for segment in segments for each in segment.heard]
    base = [each for segment in earlier for each in segment.heard]
    merge = Merge.of(base, _edits(earlier), later, row.duration or 0.0)
    placed = merge.placed() if merge.matching_share >= MIN_MATCHING_SHARE else []
    drafts = drafts_of(placed, len(segments))
    if not drafts:
        return _(
            "Your edits were not carried over, because this transcript is too different from the "
            "earlier one."
        )
    replace_all_segments(row, drafts, segments)
    return _remark(sum(bool(draft.conflict) for draft in drafts))


def _edits(segments: Sequence[HeardSegment]) -> list[Edit]:
    edits, position = list[Edit](), 0
    for segment in segments:
        if segment.is_edited:
            recognized = [each.word["text"] for each in segment.heard]
            edits += edits_of(position, recognized, segment.words)
        position += len(segment.heard)
    return edits


def _remark(conflicts: int) -> str:
    if not conflicts:
        return _("Your edits were carried over from the earlier transcript.")
    return ngettext(
        "Your edits were carried over from the earlier transcript. In %(count)d segment the "
        "recognized text has changed: see below.",
        "Your edits were carried over from the earlier transcript. In %(count)d segments the "
        "recognized text has changed: see below.",
        conflicts,
    ) % {"count": conflicts}
