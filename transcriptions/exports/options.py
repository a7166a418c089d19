"""The options of an export. Imports no Django."""

from __future__ import annotations

from dataclasses import dataclass

from transcriptions.exports.profiles import DEFAULT_PROFILE, Profile


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """The options of an export. A format ignores those that do not apply to it. Times are in
    seconds.

    The times of a file are those of the recording, times `stretch`, plus `offset`. A word is left
    out if its middle is not within `start` to `end` of the recording, or if it would end before the
    file begins; one that would only start before the file starts at 0.
    """

    profile: Profile = DEFAULT_PROFILE  # the norms of subtitles
    language: str = ""  # whose rules divide the text; empty: that of the recording
    speakers: bool = True  # the names of speakers, where they are known
    times: bool = False  # times in documents that people read
    notes: bool = False  # highlights, comments and bookmarks in documents that people read
    karaoke: bool = False  # the time of every word, in WebVTT
    top: bool = False  # subtitles are at the top of the picture
    start: float = 0.0
    end: float | None = None  # None: of the recording
    offset: float = 0.0
    stretch: float = 1.0
    frame_rate: float | None = None  # frames per second, to align cues with; None: milliseconds

    @property
    def keeps_times(self) -> bool:
        """Whether the file has all words, with the times of the recording."""
        is_moved = self.offset != 0 or self.stretch != 1
        return not (is_moved or self.leaves_out_words)

    @property
    def leaves_out_words(self) -> bool:
        """Whether words may be left out of the file."""
        return self.start > 0 or self.end is not None or self.offset < 0

    def includes(self, start: float, end: float) -> bool:
        """Whether a word with these times in the recording is in the file."""
        middle = (start + end) / 2
        is_chosen = self.start <= middle and (self.end is None or middle < self.end)
        return is_chosen and (self._at(start) >= 0 or self._at(end) > 0)

    def overlaps(self, start: float, end: float) -> bool:
        """Whether a part of a passage with these times in the recording is in the file; if both are
        the same, whether that moment is."""
        begins_early_enough = self.end is None or start < self.end
        ends_late_enough = end > self.start or start >= self.start
        is_chosen = begins_early_enough and ends_late_enough
        return is_chosen and (self._at(start) >= 0 or self._at(end) > 0)

    def time(self, seconds: float) -> float:
        """The time in the file of a time in the recording; never negative."""
        return max(0.0, self._at(seconds))

    def _at(self, seconds: float) -> float:
        return seconds * self.stretch + self.offset


DEFAULT_OPTIONS = ExportOptions()
