"""The norms for subtitles, by profile. Imports no Django."""

from __future__ import annotations

from dataclasses import dataclass

# The shortest gap that Netflix accepts: two frames at 24 frames a second.
TWO_FRAMES_S = 2 / 24


@dataclass(frozen=True, slots=True)
class Profile:
    """Limits that cues keep if any division of the words can keep them. Times are in seconds.

    Characters are those of an alphabet: in Chinese, Japanese and Korean a line has 16 characters
    where it otherwise has 42, and the reading speed is that of the language. See `widths`.
    """

    name: str
    max_line_chars: int = 42
    max_lines: int = 2
    max_chars_per_second: float = 20.0  # reading speed; 0: no limit
    min_duration: float = 5 / 6
    max_duration: float = 7.0
    min_gap: float = TWO_FRAMES_S
    close_gap: float = 0.5  # a gap shorter than this is closed to `min_gap`; 0: gaps stay
    lead_in: float = 0.0  # a cue appears at most this long before its first word
    lead_out: float = 0.5  # it stays this long after its last word, if there is room
    max_pause: float = 2.0  # a longer pause between two words ends a cue if possible
    two_speakers: bool = True  # a cue may have a line of one speaker and a line of the next
    split_sentences: bool = False  # the end of a sentence always ends a cue
    keep_phrases: bool = True  # avoids breaks between article and noun, first and last name, ...


# Sources: docs/subtitles.md.
PROFILES = {
    profile.name: profile
    for profile in (
        Profile("netflix"),
        Profile("netflix-children", max_chars_per_second=17.0),
        Profile(
            "bbc",
            max_line_chars=37,
            max_chars_per_second=17.0,
            min_duration=1.0,
            close_gap=1.0,
            lead_out=1.0,
        ),
        Profile(
            "social",
            max_line_chars=28,
            max_lines=1,
            max_chars_per_second=0.0,
            min_duration=0.4,
            max_duration=3.0,
            min_gap=0.0,
            close_gap=0.3,
            lead_out=0.2,
            max_pause=0.7,
            two_speakers=False,
        ),
        Profile(
            "verbatim",
            max_chars_per_second=0.0,
            min_duration=0.0,
            min_gap=0.0,
            close_gap=0.0,
            lead_out=0.0,
        ),
    )
}
DEFAULT_PROFILE = PROFILES["netflix"]
