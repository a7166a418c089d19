"""Reads subtitles in the formats SubRip, WebVTT and ASS, and reports the line of an error.

SubRip and WebVTT are parsed here, because libraries silently leave out lines that they do not
understand. Styles are left out, and so are the hyphens that mark speakers.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable, Iterator

from django.utils.translation import gettext as _
from pysubs2 import SSAFile
from pysubs2.formats.substation import SubstationFormat

from gpu.joining import join
from transcriptions.editing.imported import Cue, ImportRefused

ARROW = "-->"
MAX_TIME_S = 1e6
_TIME = re.compile(r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})")
# Both patterns run in linear time, whatever the text contains.
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<[\d:.]+>|\{\\[^{}]*\}")
_ASS_OVERRIDE = re.compile(r"\{[^{}]*\}")
# Not before a digit, where it is a minus.
_SPEAKER_MARK = re.compile(r"^\s*[-\u2010-\u2014](?!\d)\s*(?=\S)")
_EXAMPLES = {"srt": "00:00:01,000 --> 00:00:02,500", "vtt": "00:00:01.000 --> 00:00:02.500"}


def detect(text: str) -> str | None:
    """The format, detected by content: `srt`, `vtt`, `ass`, or None if there are no subtitles."""
    beginning = text.lstrip("\ufeff \n")[:20]
    if beginning.startswith("WEBVTT"):
        return "vtt"
    if beginning.startswith("[Script Info]"):
        return "ass"
    has_times = any(ARROW in line and _TIME.search(line) for line in text.split("\n"))
    return "srt" if has_times and beginning[:1] not in ("{", "[") else None


def _refuse(line: int, problem: str) -> ImportRefused:
    message = _("Line %(line)d: %(problem)s") % {"line": line, "problem": problem}
    return ImportRefused("invalid_subtitles", message)


# --- SubRip and WebVTT ----------------------------------------------------------------------------


def read_srt(text: str) -> Iterator[Cue]:
    """The cues of SubRip. Raises ImportRefused."""
    timing, lines = None, list[str]()
    for number, line in enumerate(text.split("\n"), 1):
        if ARROW in line:
            if lines and lines[-1].strip().isdecimal():
                lines.pop()  # the counter of the next cue
            if timing:
                yield _cue(timing, lines)
            elif any(each.strip() for each in lines):
                break
            timing, lines = _timing(number, line, "srt"), []
        else:
            lines.append(line)
    if timing:
        yield _cue(timing, lines)
        return
    first = next((n for n, each in enumerate(text.split("\n"), 1) if each.strip()), 1)
    raise _refuse(first, _no_times("srt"))


def read_vtt(text: str) -> Iterator[Cue]:
    """The cues of WebVTT, without comments, styles and names of cues. Raises ImportRefused."""
    timing, lines = None, list[str]()
    for number, line in enumerate([*text.split("\n"), ""], 1):
        if ARROW in line:
            if timing:
                yield _cue(timing, lines, html.unescape)
            timing, lines = _timing(number, line, "vtt"), []
        elif timing and line.strip():
            lines.append(line)
        elif timing:
            yield _cue(timing, lines, html.unescape)
            timing = None
    if ARROW not in text:
        raise _refuse(1, _no_times("vtt"))


def _no_times(kind: str) -> str:
    return _("there are no times here, such as %(example)s.") % {"example": _EXAMPLES[kind]}


def _timing(number: int, line: str, kind: str) -> Cue:
    """A cue without text."""
    start, _arrow, rest = line.partition(ARROW)
    times = [_seconds(number, each, kind) for each in (start.strip(), (rest.split() or [""])[0])]
    return _checked(number, *times)


def _checked(number: int, start: float, end: float) -> Cue:
    if end < start:
        raise _refuse(number, _("the end is before the start."))
    return Cue(start, end, "", _("Line %(line)d") % {"line": number})


def _seconds(number: int, text: str, kind: str) -> float:
    match = _TIME.fullmatch(text)
    if match is None or int(match[2]) > 59 or int(match[3]) > 59:
        values = {"time": text[:20], "example": _EXAMPLES[kind]}
        problem = _("“%(time)s” is not a time. Times are written like this: %(example)s.")
        raise _refuse(number, problem % values)
    whole = int(match[1] or 0) * 3600 + int(match[2]) * 60 + int(match[3])
    return whole + int(match[4].ljust(3, "0")) / 1000


def _cue(timing: Cue, lines: list[str], unescape: Callable[[str], str] = str) -> Cue:
    spoken = (_SPEAKER_MARK.sub("", unescape(_TAG.sub("", line))).strip() for line in lines)
    return timing.with_text(join(spoken))


# --- ASS and SSA ----------------------------------------------------------------------------------


def read_ass(text: str) -> Iterator[Cue]:
    """The dialogue of ASS or SSA. Raises ImportRefused."""
    has_dialogue = False
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("Dialogue:"):
            has_dialogue = True
            yield from _dialogue(number, line)
    if not has_dialogue:
        raise _refuse(1, _("there is no line that begins with “Dialogue:” in this file."))


def _dialogue(number: int, line: str) -> Iterator[Cue]:
    """The cue of one line, parsed alone so that the line number is known; none for a drawing."""
    overrides = _ASS_OVERRIDE.findall(line)
    plain = _ASS_OVERRIDE.sub("", line)
    subtitles = SSAFile()
    try:
        SubstationFormat.from_file(subtitles, io.StringIO(plain.replace("{", "(")), "ass")
    except ValueError:
        problem = _("a time is wrong. Times are written like this: 0:00:01.00.")
        raise _refuse(number, problem) from None
    (event,) = subtitles.events
    if plain.count(",") < 9:
        raise _refuse(number, _("there are too few fields: text comes after nine commas."))
    timing = _checked(number, event.start / 1000, event.end / 1000)
    if not any(re.search(r"\\p[1-9]", override) for override in overrides):
        yield _cue(timing, event.plaintext.split("\n"))


READERS = {"srt": read_srt, "vtt": read_vtt, "ass": read_ass}
