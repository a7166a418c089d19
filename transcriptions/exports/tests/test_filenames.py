"""Names of downloads: whatever the title is, one line, one file, and no other folder."""

from __future__ import annotations

from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriptions.exports.filenames import MAX_NAME_BYTES, attachment


def filename_in(header: str) -> str:
    """The file name as a client reads it (RFC 6266)."""
    message = Message()
    message["Content-Disposition"] = header
    return str(message.get_filename())


@pytest.mark.covers("attack", "A title is a path, a second header or a disguised extension")
@pytest.mark.parametrize(
    ("title", "filename"),
    [
        ("Team meeting", "Team meeting.srt"),
        ("Übung für 会議", "Übung für 会議.srt"),
        ("100 % sure", "100 % sure.srt"),
        ("../../etc/passwd", "-..-etc-passwd.srt"),
        ("..\\..\\autoexec.bat", "-..-autoexec.bat.srt"),
        ("/", "-.srt"),
        (".bashrc", "bashrc.srt"),
        ("..", "recording.srt"),
        ('a"; filename="b.exe', "a-; filename=-b.exe.srt"),
        ("a\r\nSet-Cookie: x=1", "a Set-Cookie- x=1.srt"),
        ("a\0b", "ab.srt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe.srt"),
        ("\u2066a\u2069\u200f", "a.srt"),
        ("x" * 300, "x" * 80 + ".srt"),
        ("会" * 300, "会" * 66 + ".srt"),
        ("", "recording.srt"),
        ("\u200b\n", "recording.srt"),
    ],
)
def test_filename_of_a_download(title: str, filename: str) -> None:
    header = attachment(title, "srt")
    assert header.startswith("attachment; filename")
    assert filename_in(header) == filename


@given(st.text())
def test_header_is_one_line_of_ascii(title: str) -> None:
    header = attachment(title, "vtt")
    assert header.isascii()
    assert header.isprintable()
    name = filename_in(header)
    assert not {*name} & {*'/\\"<>:|?*'}
    assert not name.startswith(".")
    assert len(name.encode()) <= MAX_NAME_BYTES + len(".vtt")
