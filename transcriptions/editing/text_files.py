"""Reads a file with the text of a recording: subtitles, JSON, or plain text. Imports no Django
models."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from django.utils.translation import gettext as _

from transcriptions.editing import subtitle_files
from transcriptions.editing.imported import Cue, Imported, ImportRefused

# In the order in which they are searched. Without one, a file is UTF-8 if it can be decoded as
# such, else Windows-1252: other encodings are rarely valid UTF-8 by chance.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Characters that PostgreSQL cannot store and no text needs: control characters, lone surrogates.
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff\ufeff]")
SUBTITLE_NAMES = {"srt": "srt", "vtt": "vtt", "ass": "ass", "ssa": "ass"}  # formats by extension


def read(content: bytes, name: str = "") -> Imported:
    """The text of a file, which may have a name. Raises ImportRefused."""
    text = decode(content)
    imported = _parse(text, PurePath(name).suffix.lower().removeprefix("."))
    if not any(cue.text.strip() for cue in imported.cues):
        raise ImportRefused("empty_file", _("There is no text in this file."))
    return imported


def decode(content: bytes) -> str:
    """The text in the encoding of the file. Raises ImportRefused."""
    if not content.strip():
        raise ImportRefused("empty_file", _("The file is empty."))
    mark, marked = next((m for m in BYTE_ORDER_MARKS if content.startswith(m[0])), (b"", ""))
    for encoding in [marked] if marked else ["utf-8", "cp1252"]:
        try:
            text = content[len(mark) :].decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text.replace("\r\n", "\n").replace("\r", "\n")
    message = _("This is not a text file in UTF-8, UTF-16 or Windows-1252. Save it as UTF-8.")
    raise ImportRefused("invalid_encoding", message)


def _parse(text: str, extension: str) -> Imported:
    kind = subtitle_files.detect(text) or SUBTITLE_NAMES.get(extension)
    if kind:
        cues = [cue.with_text(_clean(cue.text)) for cue in subtitle_files.READERS[kind](text)]
        return Imported(sorted(cues, key=lambda cue: cue.start), is_timed=True)
    if extension == "json" or text.lstrip()[:1] in ("{", "["):
        try:
            return _from_json(_load(text))
        except _NotJson as error:
            # A text may begin with "[Music]"; a file that claims to be JSON may not.
            if extension == "json" or text.lstrip().startswith("{"):
                raise ImportRefused("invalid_json", str(error)) from None
    return Imported([Cue(0.0, 0.0, _clean(text))], is_timed=False)


def _clean(text: str) -> str:
    return _CONTROL.sub("", text)


# --- JSON -----------------------------------------------------------------------------------------


class _NotJson(Exception):
    """`str()` says where and why."""


def _load(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        values = {"line": error.lineno, "problem": error.msg}
        raise _NotJson(_("Line %(line)d: this is not JSON: %(problem)s.") % values) from None
    except (ValueError, RecursionError):  # a number with thousands of digits, lists in lists
        raise _NotJson(_("This JSON cannot be read.")) from None


def _from_json(document: Any) -> Imported:
    """One of our exports, the output of Whisper, or an object with a `text`. Raises
    ImportRefused."""
    found = document if isinstance(document, list) else None
    if isinstance(document, dict):
        found = document.get("segments")
        if found is None and isinstance(document.get("text"), str):
            return Imported([Cue(0.0, 0.0, _clean(document["text"]))], is_timed=False)
    if not isinstance(found, list):
        message = _("The JSON must be an object with “segments” or “text”.")
        raise ImportRefused("invalid_json", message)
    cues = sorted(_cues_of(found), key=lambda cue: cue.start)
    return Imported(cues, is_timed=True)


def _cues_of(segments: list[Any]) -> Iterator[Cue]:
    for number, segment in enumerate(segments, 1):
        place = _("Segment %(number)d") % {"number": number}
        match segment:
            case {"start": int() | float() as start, "end": int() | float() as end, "text": str(t)}:
                if not _is_time(start) or not _is_time(end):
                    problem = _("its times must be seconds from the beginning")
                elif end < start:
                    problem = _("the end is before the start")
                else:
                    yield Cue(float(start), float(end), _clean(t), place)
                    continue
            case _:
                problem = _("it needs a “start” and an “end” in seconds, and a “text”")
        raise ImportRefused("invalid_json", f"{place}: {problem}.")


def _is_time(value: float) -> bool:
    return 0 <= value < subtitle_files.MAX_TIME_S  # NaN is not
