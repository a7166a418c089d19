"""Subtitles in the format WebVTT (https://www.w3.org/TR/webvtt1/). Imports no Django."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from transcriptions.exports.cues import TURN_MARK, Cue, Line
from transcriptions.exports.options import DEFAULT_OPTIONS, ExportOptions
from transcriptions.exports.subtitles import (
    cues_of,
    one_line,
    plain_lines,
    timestamp,
    without_arrows,
)
from transcriptions.exports.transcript import Transcript, spaced


def write(transcript: Transcript, options: ExportOptions) -> bytes:
    """The transcript as WebVTT. Right-to-left text needs no marks: browsers detect its
    direction."""
    return vtt(cues_of(transcript, options), options).encode()


def vtt(cues: Iterable[Cue], options: ExportOptions = DEFAULT_OPTIONS) -> str:
    """Speakers as `<v Name>`. `&` and `<` are escaped: the text has no markup."""
    return "WEBVTT\n\n" + "\n".join(f"{_cue(cue, options)}\n" for cue in cues)


def _cue(cue: Cue, options: ExportOptions) -> str:
    times = f"{timestamp(cue.start, '.')} --> {timestamp(cue.end, '.')}"
    if options.top:
        times += " line:0"
    return "\n".join([times, *filter(None, _lines(cue, options))])


def _lines(cue: Cue, options: ExportOptions) -> Iterator[str]:
    written = cue.start
    for line in cue.lines:
        if options.karaoke:
            text, written = _with_times(line, written, cue.end)
        else:
            text = "\n".join(_escape(each) for each in plain_lines(line.text))
        name = _escape(one_line(line.speaker)).replace(">", "&gt;") if options.speakers else ""
        yield f"<v {name}>{text}</v>" if name and text else text


def _with_times(line: Line, after: float, before: float) -> tuple[str, float]:
    """The text with the time of each word, and the last time. Times in a cue must increase and lie
    within it; its first word needs none."""
    parts = [TURN_MARK] if line.turn_mark else []
    for space, word in spaced(line.words):
        if text := _escape(one_line(word.text)):
            is_later = round(word.start, 3) > round(after, 3) and word.start < before
            parts += [space, f"<{timestamp(word.start, '.')}>" if is_later else "", text]
            after = word.start if is_later else after
    return "".join(parts).strip(), after


def _escape(text: str) -> str:
    return without_arrows(text).replace("&", "&amp;").replace("<", "&lt;")
