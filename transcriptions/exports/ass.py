"""Subtitles in the format Advanced SubStation Alpha (ASS). Imports no Django.

https://github.com/libass/libass/wiki/ASS-File-Format-Guide
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from transcriptions.exports.cues import Cue
from transcriptions.exports.options import DEFAULT_OPTIONS, ExportOptions
from transcriptions.exports.subtitles import cues_of, is_right_to_left, one_line, plain_lines
from transcriptions.exports.transcript import Transcript

TIMES_PER_SECOND = 100.0  # of the format
DEFAULT_STYLE = "Default"
# Of speakers, as the BBC assigns them: white, yellow, cyan, green. In hexadecimal BBGGRR.
COLORS = ("FFFFFF", "00FFFF", "FFFF00", "00FF00")
# libass's name for the encoding of text whose direction it has to detect.
DETECT_DIRECTION = -1
BOTTOM, TOP = 2, 8  # in the middle of a line, as on a keypad
WORD_JOINER = "\u2060"

HEADER = """\
[Script Info]
ScriptType: v4.00+
WrapStyle: 0
ScaledBorderAndShadow: yes
PlayResX: 1920
PlayResY: 1080
YCbCr Matrix: None

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, \
Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, \
Alignment, MarginL, MarginR, MarginV, Encoding
"""
EVENTS = """
[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""
Styles = dict[str, str]  # by the name of the speaker; "" if there is none


def write(transcript: Transcript, options: ExportOptions) -> bytes:
    """The transcript as ASS."""
    return ass(cues_of(transcript, options, TIMES_PER_SECOND), options).encode()


def ass(cues: Iterable[Cue], options: ExportOptions = DEFAULT_OPTIONS) -> str:
    """A style for each speaker, if there are several."""
    cues = [*cues]
    styles = _styles(cues) if options.speakers else {}
    encoding = DETECT_DIRECTION if any(is_right_to_left(cue.text) for cue in cues) else 1
    names = dict.fromkeys((DEFAULT_STYLE, *styles.values()))
    alignment = TOP if options.top else BOTTOM
    lines = [_style(name, number, alignment, encoding) for number, name in enumerate(names)]
    events = (_event(cue, styles, options) for cue in cues)
    return HEADER + "".join(lines) + EVENTS + "".join(events)


def _styles(cues: Iterable[Cue]) -> Styles:
    speakers = dict.fromkeys(line.speaker for cue in cues for line in cue.lines if line.speaker)
    if len(speakers) < 2:
        return {}
    return {speaker: f"Speaker {number}" for number, speaker in enumerate(speakers, 1)}


def _style(name: str, number: int, alignment: int, encoding: int) -> str:
    color = COLORS[max(0, number - 1) % len(COLORS)]  # without a speaker: as the first one
    return (
        f"Style: {name},Arial,64,&H00{color},&H00{color},&H00000000,&H80000000,0,0,0,0,100,100,0,0,"
        f"1,3,1,{alignment},120,120,60,{encoding}\n"
    )


def _event(cue: Cue, styles: Styles, options: ExportOptions) -> str:
    speaker = cue.lines[0].speaker if options.speakers else ""
    style = styles.get(speaker, DEFAULT_STYLE)
    name = one_line(speaker).replace(",", " ")  # a comma ends the field
    text = r"\N".join(_lines(cue, styles))
    return f"Dialogue: 0,{_time(cue.start)},{_time(cue.end)},{style},{name},0,0,0,,{text}\n"


def _lines(cue: Cue, styles: Styles) -> Iterator[str]:
    """The lines; one whose speaker differs from that of the line before starts with its style."""
    speaker = cue.lines[0].speaker
    for line in cue.lines:
        style = "" if line.speaker == speaker else styles.get(line.speaker, DEFAULT_STYLE)
        tag = rf"{{\r{style}}}" if styles and style else ""
        speaker = line.speaker
        for text in plain_lines(line.text):
            yield tag + _escape(text)
            tag = ""


def _escape(text: str) -> str:
    """The text without anything that could be a command. Braces would contain one, and only some
    players support escaping them. A backslash before an invisible character is only a backslash."""
    return text.replace("\\", "\\" + WORD_JOINER).translate({ord("{"): "(", ord("}"): ")"})


def _time(seconds: float) -> str:
    """H:MM:SS and hundredths."""
    total, hundredths = divmod(round(seconds * TIMES_PER_SECOND), 100)
    minutes, seconds_left = divmod(total, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds_left:02}.{hundredths:02}"
