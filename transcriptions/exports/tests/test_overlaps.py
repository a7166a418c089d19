"""People who speak at the same time on different channels."""

from __future__ import annotations

from dataclasses import replace

from transcriptions.exports.cues import Cue
from transcriptions.exports.norms import Norm, violations
from transcriptions.exports.overlaps import sequences
from transcriptions.exports.profiles import PROFILES
from transcriptions.exports.shaping import shape
from transcriptions.exports.tests.spoken import spoken, texts
from transcriptions.exports.transcript import TimedWord

NETFLIX = PROFILES["netflix"]
STORY = (
    "When the harbor pilot came aboard in the morning, he said that the fog would lift before "
    "noon, that nobody should worry, and that the others had been waiting on the pier since six "
    "o'clock."
)


def recorded(*segments: tuple[int, float, str]) -> list[TimedWord]:
    """The words of segments, given as (channel, start in seconds, text)."""
    return [
        replace(word, segment=number, channel=channel)
        for number, (channel, start, text) in enumerate(segments, 1)
        for word in spoken(text, start=start, speaker=f"Channel {channel + 1}")
    ]


STORY_END = recorded((0, 0.0, STORY))[-1].end
CALL = recorded(
    (0, 0.0, STORY), (1, 3.0, "Really?"), (0, STORY_END + 0.5, "And then we left again.")
)


def cue_with(text: str, cues: list[Cue]) -> Cue:
    return next(cue for cue in cues if text in cue.text)


def parts(words: list[TimedWord]) -> list[str]:
    return [" ".join(texts(sequence)) for sequence in sequences(words)]


def test_interjection_has_a_cue_when_it_is_said() -> None:
    cues = shape(CALL, NETFLIX, language="en")
    cue = cue_with("Really?", cues)
    assert (cue.start, cue.text) == (3.0, "Really?")
    assert cue.end - cue.start >= NETFLIX.min_duration
    assert cue_with("And then", cues).start == STORY_END + 0.5
    assert [cue.start for cue in cues] == sorted(cue.start for cue in cues)


def test_interjection_does_not_change_the_cues_of_the_other_channel() -> None:
    cues = shape(CALL, NETFLIX, language="en")
    alone = [word for word in CALL if word.channel == 0]
    assert [cue for cue in cues if cue.text != "Really?"] == shape(alone, NETFLIX, language="en")


def test_overlapping_cues_break_only_the_norm_of_gaps() -> None:
    cues = shape(CALL, NETFLIX, language="en")
    found = violations(cues, NETFLIX, language="en")
    assert {violation.norm for norms in found for violation in norms} == {Norm.GAP}


def test_every_word_appears_within_half_a_second_in_crosstalk() -> None:
    words = recorded((0, 0.0, STORY), (1, 0.7, STORY), (2, 1.3, STORY))
    for cue in shape(words, NETFLIX, language="en"):
        assert -0.5 < cue.start - cue.words[0].start < 0.5
        assert cue.end >= cue.words[-1].end


def test_turns_without_overlap_share_cues_as_on_one_channel() -> None:
    words = recorded((0, 0.0, "Is it raining?"), (1, 1.2, "Not yet."))
    (cue,) = shape(words, NETFLIX)
    assert cue.text == "-Is it raining?\n-Not yet."


def test_short_overlap_is_no_overlap() -> None:
    end = recorded((0, 0.0, "Is it raining?"))[-1].end
    assert len(parts(recorded((0, 0.0, "Is it raining?"), (1, end - 0.2, "Not yet.")))) == 1
    assert len(parts(recorded((0, 0.0, "Is it raining?"), (1, end - 0.3, "Not yet.")))) == 2


def test_segments_of_one_channel_are_one_sequence() -> None:
    assert parts(recorded((0, 0.0, "Is it raining?"), (0, 0.1, "Not yet."))) == [
        "Is it raining? Not yet."
    ]


def test_segment_follows_the_one_that_ended_last() -> None:
    words = recorded((0, 0.0, "Is it raining?"), (1, 0.5, "Not yet. Soon."), (0, 2.0, "Oh."))
    assert parts(words) == ["Is it raining?", "Not yet. Soon. Oh."]
