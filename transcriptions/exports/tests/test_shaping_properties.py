"""Properties of all cues, for random words, speakers and scripts."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transcriptions.exports.norms import Norm, violations
from transcriptions.exports.profiles import PROFILES, Profile
from transcriptions.exports.shaping import shape
from transcriptions.exports.transcript import TimedWord, join_words
from transcriptions.exports.widths import line_width, reading_length

TEXTS = st.sampled_from(
    """a the I of to and harbor morning, yes. No! Dr. Anna Miller 26 (well) extraordinarily
    incomprehensibilities Müller. 港口 今天天气 です。 カメラを ที่ วันนี้อากาศดี 오늘은 مرحبا شكرًا؟
    שלום, Привет. e\u0301te\u0301 <b>&amp;</b> -->""".split()  # noqa: SIM905
)
PROFILE = st.sampled_from(list(PROFILES.values())) | st.builds(
    Profile,
    name=st.just("own"),
    max_line_chars=st.integers(12, 60),
    max_lines=st.integers(1, 3),
    max_chars_per_second=st.sampled_from([0, 12, 20]),
    min_duration=st.sampled_from([0, 0.5, 1.2]),
    max_duration=st.sampled_from([2.5, 7]),
    min_gap=st.sampled_from([0, 0.04, 0.12]),
    close_gap=st.sampled_from([0, 0.3, 0.8]),
    lead_out=st.sampled_from([0, 0.5]),
    two_speakers=st.booleans(),
    split_sentences=st.booleans(),
    keep_phrases=st.booleans(),
)
FRAME_RATES = st.sampled_from([1000.0, 25.0, 24000 / 1001])


@st.composite
def word_lists(draw: st.DrawFn, max_size: int = 40) -> list[TimedWord]:
    """Words in order; some without a pause, some that overlap, some of no duration."""
    words, time, speaker = list[TimedWord](), 0, "A"
    for _ in range(draw(st.integers(1, max_size))):
        start = max(time + draw(st.sampled_from([0, 0, 0, 20, 80, 300, 700, 2500, -150])), 0)
        end = start + draw(st.sampled_from([0, 50, 120, 250, 400, 900]))
        speaker = draw(st.sampled_from([speaker] * 6 + ["A", "B"]))
        text = draw(TEXTS)
        words.append(TimedWord(start / 1000, end / 1000, text, draw(st.booleans()), speaker))
        time = end
    return words


@given(word_lists(), PROFILE, FRAME_RATES)
@settings(max_examples=150, deadline=None)
def test_every_word_once_in_order_and_no_overlap(
    words: list[TimedWord], profile: Profile, frame_rate: float
) -> None:
    cues = shape(words, profile, language="en", frame_rate=frame_rate)
    shaped = [word for cue in cues for word in cue.words]
    assert join_words(shaped) == join_words(words)
    rounding = 1e-6
    for one, two in pairwise(cues):
        assert two.start - one.end >= profile.min_gap - rounding
    for cue in cues:
        assert cue.start < cue.end
        assert cue.start >= cue.words[0].start - rounding
        assert cue.end >= cue.words[-1].end - rounding


@pytest.mark.slow
@given(word_lists(), PROFILE)
@settings(max_examples=150, deadline=None)
def test_lines_fit_except_for_a_single_long_word(words: list[TimedWord], profile: Profile) -> None:
    for cue in shape(words, profile, language="en"):
        assert len(cue.lines) <= profile.max_lines
        for line in cue.lines:
            assert line_width(line.text) <= profile.max_line_chars or len(line.words) == 1
            assert len({word.speaker for word in line.words}) == 1


@given(word_lists(max_size=9), PROFILE, st.sampled_from([25, 50]))
@settings(max_examples=300, deadline=None)
def test_norms_are_kept_whenever_any_cues_keep_them(
    words: list[TimedWord], profile: Profile, frame_rate: int
) -> None:
    profile = replace(profile, split_sentences=False)
    cues = shape(words, profile, language="en", frame_rate=frame_rate)
    found = violations(cues, profile, language="en", frame_rate=frame_rate)
    divided = [word for cue in cues for word in cue.words]  # some were divided into phrases
    assert not (any(found) and _Trial(divided, profile, frame_rate).can_keep_all())


def test_cue_starts_late_if_the_one_before_needs_the_time() -> None:
    def said(first: float, second: float) -> list[TimedWord]:
        return [TimedWord(0.0, 0.4, "Yes."), TimedWord(first, second, "Certainly", speaker="B")]

    profile = replace(PROFILES["netflix"], two_speakers=False, min_duration=1.0, min_gap=0.08)
    (_, second), (_, too_late) = (
        shape(said(start, 2.5), profile, frame_rate=25) for start in (1.0, 0.92)
    )
    assert second.start == 1.08
    assert too_late.start == 0.92 or too_late.start > 1.0


@pytest.mark.slow
@given(word_lists(), PROFILE, FRAME_RATES)
@settings(max_examples=150, deadline=None)
def test_cues_start_at_most_two_frames_late(
    words: list[TimedWord], profile: Profile, frame_rate: float
) -> None:
    profile = replace(profile, min_duration=1.0)
    spoken_until = 0.0
    for cue in shape(words, profile, language="en", frame_rate=frame_rate):
        due = max(cue.words[0].start, spoken_until)
        latest = max(due + 2 / 24, spoken_until + profile.min_gap)
        assert cue.start <= latest + 2 / frame_rate + 1e-6
        spoken_until = max(spoken_until, cue.start, *(word.end for word in cue.words), cue.end)


@given(word_lists(), PROFILE)
@settings(max_examples=100, deadline=None)
def test_report_agrees_with_plain_measurement(words: list[TimedWord], profile: Profile) -> None:
    cues = shape(words, profile, language="en")
    for index, (cue, found) in enumerate(zip(cues, violations(cues, profile), strict=True)):
        norms = {violation.norm for violation in found}
        duration = round(cue.end - cue.start, 3)
        assert (Norm.MIN_DURATION in norms) == (duration < round(profile.min_duration, 3) - 1e-9)
        assert (Norm.MAX_DURATION in norms) == (duration > profile.max_duration + 1e-9)
        widest = max(line_width(line.text) for line in cue.lines)
        assert (Norm.LINE_LENGTH in norms) == (widest > profile.max_line_chars)
        if index + 1 < len(cues):
            gap = round(cues[index + 1].start - cue.end, 3)
            assert (Norm.GAP in norms) == (
                round(profile.min_gap + 0.0004, 3) < gap < profile.close_gap - 1e-9
            )


# --- the same by trying all divisions and all starts, in whole frames and without arrays


class _Trial:
    """Whether words can be divided into cues that keep all norms of a profile, if each cue starts
    with its first word, a gap after the word before, or up to two frames of film after its word."""

    def __init__(self, words: list[TimedWord], profile: Profile, rate: int) -> None:
        self.words, self.profile, self.rate = words, profile, rate
        self.starts, self.ends, previous = list[int](), list[int](), 0
        for word in words:
            self.starts.append(max(self._up(word.start), previous))
            previous = max(self._up(word.end), self.starts[-1])
            self.ends.append(previous)
        self.gap = self._up(profile.min_gap)

    def can_keep_all(self) -> bool:
        possible = [set(self._starts(index)) for index in range(len(self.words))]
        reached: list[set[int]] = [{min(possible[0])}, *[set() for _ in self.words]]
        for first in range(len(self.words)):
            for last in range(first, len(self.words)):
                words = self.words[first : last + 1]
                if reached[first] and _fits(words, self.profile):
                    following = possible[last + 1] if last + 1 < len(self.words) else {10**9}
                    reached[last + 1] |= {
                        then
                        for start in reached[first]
                        for then in following
                        if self._has_end(start, self.ends[last], then, words)
                    }
        return bool(reached[-1])

    def _starts(self, index: int) -> range:
        after = self.ends[index - 1] + self.gap if index else 0
        due = max(self.starts[index] - int(self.profile.lead_in * self.rate + 1e-6), after)
        return range(due, max(due, self.starts[index] + 2 * self.rate // 24) + 1)

    def _has_end(self, start: int, speech_end: int, then: int, words: list[TimedWord]) -> bool:
        """Whether there is an end of a cue that keeps the norms of time."""
        length, speed = reading_length(_read(words), "en"), self.profile.max_chars_per_second
        reading = 0 if not speed else -(-round(length * self.rate * 1e6) // round(speed * 1e6))
        earliest = max(speech_end, start + max(self._up(self.profile.min_duration), 1))
        earliest = max(earliest, start + reading)
        latest = start + int(self.profile.max_duration * self.rate + 1e-6)
        close = self._up(self.profile.close_gap)
        touches = earliest <= then - self.gap <= latest
        return touches or earliest <= min(latest, then - max(self.gap, close))

    def _up(self, seconds: float) -> int:
        return -(-round(seconds * self.rate * 1e6) // 10**6)


def _fits(words: list[TimedWord], profile: Profile) -> bool:
    """Whether the words fit on the lines of a cue."""
    turns = [i for i, (a, b) in enumerate(pairwise(words), 1) if a.speaker != b.speaker]
    if not turns:
        return _lines_needed(words, profile.max_line_chars) <= profile.max_lines
    if len(turns) > 1 or not profile.two_speakers or profile.max_lines == 1:
        return False
    parts = words[: turns[0]], words[turns[0] :]
    return all(line_width("-" + join_words(part)) <= profile.max_line_chars for part in parts)


def _lines_needed(words: list[TimedWord], limit: float) -> float:
    """The number of lines if each one is filled before the next; infinite if a word is too long."""
    lines, line = 1, list[TimedWord]()
    for word in words:
        if line_width(word.text) > limit:
            return float("inf")
        if line_width(join_words([*line, word])) > limit:
            lines, line = lines + 1, []
        line.append(word)
    return lines


def _read(words: list[TimedWord]) -> str:
    turns = sum(a.speaker != b.speaker for a, b in pairwise(words))
    return "-" * (2 * turns) + join_words(words)
