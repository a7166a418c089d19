"""What holds for all cues, whatever was said: random words, speakers and scripts."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

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


@given(word_lists(), PROFILE)
@settings(max_examples=150, deadline=None)
def test_lines_fit_except_for_a_single_long_word(words: list[TimedWord], profile: Profile) -> None:
    for cue in shape(words, profile, language="en"):
        assert len(cue.lines) <= profile.max_lines
        for line in cue.lines:
            assert line_width(line.text) <= profile.max_line_chars or len(line.words) == 1
            assert len({word.speaker for word in line.words}) == 1


@given(word_lists(max_size=9), PROFILE)
@settings(max_examples=300, deadline=None)
def test_norms_are_kept_whenever_a_division_keeps_them(
    words: list[TimedWord], profile: Profile
) -> None:
    profile = replace(profile, split_sentences=False, lead_in=0)
    cues = shape(words, profile, language="en")
    found = violations(cues, profile, language="en")
    divided = [word for cue in cues for word in cue.words]  # some were divided into phrases
    assert not (any(found) and _can_keep_all(divided, profile))


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


# --- the same by trying all divisions, in whole milliseconds and without arrays


def _can_keep_all(words: list[TimedWord], profile: Profile) -> bool:
    """Whether the words can be divided into cues that keep all norms of the profile, if each cue
    starts with its first word or a gap after the word before."""
    starts, ends, previous = list[int](), list[int](), 0
    for word in words:
        starts.append(max(_millis(word.start), previous))
        previous = max(_millis(word.end), starts[-1])
        ends.append(previous)
    gap = _millis(profile.min_gap)
    begins = [max(s, e + gap) for s, e in zip(starts, [-gap, *ends], strict=False)]
    good = [True] + [False] * len(words)
    for first in range(len(words)):
        for last in range(first, len(words)):
            following = begins[last + 1] if last + 1 < len(words) else 10**9
            if good[first] and _fits(words[first : last + 1], profile):
                length = reading_length(_read(words[first : last + 1]), "en")
                good[last + 1] |= _has_end(begins[first], ends[last], following, length, profile)
    return good[-1]


def _has_end(start: int, speech_end: int, following: int, length: float, profile: Profile) -> bool:
    """Whether there is an end of a cue that keeps the norms of time."""
    speed = profile.max_chars_per_second
    reading = 0 if not speed else -(-round(length * 1e6) // round(speed * 1e3))
    earliest = max(speech_end, start + max(_millis(profile.min_duration), 1), start + reading)
    latest = start + round(profile.max_duration * 1000)
    gap, close = _millis(profile.min_gap), _millis(profile.close_gap)
    touches = earliest <= following - gap <= latest
    return touches or earliest <= min(latest, following - max(gap, close))


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
    """By filling one line after the other; infinite if a word is too long."""
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


def _millis(seconds: float) -> int:
    """Whole milliseconds, rounded up."""
    return -(-round(seconds * 1e6) // 1000)
