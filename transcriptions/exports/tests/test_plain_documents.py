"""Plain text and Markdown."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from transcriptions.exports.documents import EXPORTERS
from transcriptions.exports.markdown import escape, markdown
from transcriptions.exports.options import ExportOptions
from transcriptions.exports.plain_text import text
from transcriptions.exports.tests.transcripts import annotation, segment, transcript

DIALOG = transcript(
    segment(0.0, 4.0, "Good morning. Who is *this*?", "Ann"),
    segment(65.9, 70.0, "I am <b>Ben</b>. 1. I wait.", "Ben"),
    segment(3700.0, 3702.0, "Fine.", "Ann"),
    title="C# & _friends_ #",
    duration=3723.0,
)


def test_text_has_speakers() -> None:
    assert text(DIALOG) == (
        "Ann: Good morning. Who is *this*?\n\nBen: I am <b>Ben</b>. 1. I wait.\n\nAnn: Fine.\n"
    )


def test_text_has_times_instead_if_wanted() -> None:
    assert text(DIALOG, speakers=False, times=True) == (
        "[00:00:00] Good morning. Who is *this*?\n\n"
        "[00:01:05] I am <b>Ben</b>. 1. I wait.\n\n"
        "[01:01:40] Fine.\n"
    )


def test_speaker_is_named_once_until_another_speaks() -> None:
    said = "We walked along the old road to the village that nobody knew. " * 5
    monolog = transcript(segment(0, 40, said.strip(), "Ann"), segment(60, 99, said.strip(), "Ann"))
    assert text(monolog).count("\n\n") == 1
    assert text(monolog).count("Ann:") == 1


NOTED = replace(
    DIALOG,
    annotations=[
        annotation("comment", 1.0, 2.0, quote="Who is *this*?", body="Ask\nher."),
        annotation("highlight", 66.0, 67.0, quote="Ben", color="green"),
        annotation("bookmark", 3700.0, 3700.0),
    ],
)


def test_text_ends_with_the_notes() -> None:
    assert text(NOTED).removeprefix(text(DIALOG)) == (
        "\nNotes\n\n"
        "[00:00:01] Comment: “Who is *this*?” — Ask her.\n\n"
        "[00:01:06] Highlight: “Ben”\n\n"
        "[01:01:40] Bookmark\n"
    )


def test_notes_are_exported_if_they_are_wanted() -> None:
    write = EXPORTERS["txt"].write
    assert write(NOTED, ExportOptions(notes=True)).decode() == text(NOTED)
    assert write(NOTED, ExportOptions()).decode() == text(DIALOG)


def test_export_passes_the_options_on() -> None:
    exported = EXPORTERS["txt"].write(DIALOG, ExportOptions(speakers=False, times=True))
    assert exported.decode() == text(DIALOG, speakers=False, times=True)


# --- Markdown, read by markdown-it ----------------------------------------------------------------

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def shown(inline: Token) -> str:
    """The text of a paragraph without its markup."""
    return "".join(token.content for token in inline.children or ())


def test_markdown_is_read_as_heading_details_and_paragraphs() -> None:
    tokens = READER.parse(markdown(DIALOG, times=True))
    assert [token.type for token in tokens[::3]] == ["heading_open", *["paragraph_open"] * 4]
    assert [shown(token) for token in tokens if token.type == "inline"] == [
        "C# & _friends_ #",
        "May 4, 2026 · 1:02:03 · English",
        "00:00:00 Ann: Good morning. Who is *this*?",
        "00:01:05 Ben: I am <b>Ben</b>. 1. I wait.",
        "01:01:40 Ann: Fine.",
    ]
    children = tokens[7].children or []
    assert [token.type for token in children] == [
        "code_inline", "text", "strong_open", "text", "strong_close", "text",
    ]  # fmt: skip


def test_markdown_ends_with_a_list_of_the_notes() -> None:
    tokens = READER.parse(markdown(NOTED).removeprefix(markdown(DIALOG)))
    assert [token.type for token in tokens].count("list_item_open") == 3
    assert [shown(token) for token in tokens if token.type == "inline"] == [
        "Notes",
        "00:00:01 Comment “Who is *this*?” — Ask her.",
        "00:01:06 Highlight “Ben”",
        "01:01:40 Bookmark",
    ]


def test_markdown_without_title_begins_with_details() -> None:
    untitled = transcript(segment(0, 1, "Hello."), title="", created_at=None, language="")
    assert markdown(untitled) == "0:12\n\nHello.\n"


@pytest.mark.covers("attack", "A transcript has Markdown or HTML that a page would render")
@given(st.text("ab1. #*_[](){}<>&;|~`\\!-+=:$\"'x/@w", min_size=1))
def test_markdown_shows_any_text_as_it_is(content: str) -> None:
    line = " ".join(content.split())
    if not line:
        return
    opening, inline, closing = READER.parse(escape(line))
    assert (opening.type, closing.type) == ("paragraph_open", "paragraph_close")
    assert {token.type for token in inline.children or ()} <= {"text", "text_special"}
    assert shown(inline) == line
