"""CSV, TSV, the labels of Audacity, and the published schema of JSON."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from transcriptions.exports.documents import EXPORTERS
from transcriptions.exports.options import ExportOptions
from transcriptions.exports.service import transcript_of
from transcriptions.exports.tests.transcripts import segment, transcript, word
from transcriptions.exports.transcript import Transcript
from transcriptions.exports.transcript_json import VERSION
from transcriptions.models import Transcription

SCHEMA = f"transcript-{VERSION}.json"
TALK = transcript(segment(0.4, 2.1, "Good morning.", "Ann"), segment(60, 62.5, "Hi, Ann.", "Bob"))


def export(format: str, source: Transcript = TALK, **choices: Any) -> str:
    return EXPORTERS[format].write(source, ExportOptions(**choices)).decode("utf-8-sig")


def rows_of(format: str, source: Transcript, **choices: Any) -> list[list[str]]:
    """The cells, without the heading; Audacity has none, and no column for the speaker."""
    content = export(format, source, **choices)
    if format == "csv":
        return [*csv.reader(io.StringIO(content, newline=""))][1:]
    lines = [line.split("\t") for line in content.split("\n")[:-1]]
    return lines[1:] if format == "tsv" else lines


@pytest.mark.parametrize("format", ["csv", "tsv"])
def test_tables_have_a_row_for_each_segment(format: str) -> None:
    assert rows_of(format, TALK) == [
        ["0.400", "2.100", "Ann", "Good morning."],
        ["60.000", "62.500", "Bob", "Hi, Ann."],
    ]
    assert export(format).splitlines()[0].replace("\t", ",") == "start,end,speaker,text"
    assert [row[2] for row in rows_of(format, TALK, speakers=False)] == ["", ""]


def test_labels_of_audacity() -> None:
    assert export("audacity") == (
        "0.400000\t2.100000\tAnn: Good morning.\n60.000000\t62.500000\tBob: Hi, Ann.\n"
    )
    assert export("audacity", speakers=False).startswith("0.400000\t2.100000\tGood morning.\n")


def test_each_speaker_of_a_segment_has_a_row() -> None:
    shared = transcript((word(0, 1, "Hello.", speaker="Ann"), word(1, 2, "Hi.", speaker="Bob")))
    assert [row[2:] for row in rows_of("csv", shared)] == [["Ann", "Hello."], ["Bob", "Hi."]]


def test_spreadsheets_find_the_encoding_of_csv() -> None:
    assert EXPORTERS["csv"].write(TALK, ExportOptions()).startswith(b"\xef\xbb\xbfstart,")


@pytest.mark.covers("attack", "A transcript or the name of a speaker is a formula for spreadsheets")
@pytest.mark.parametrize("format", ["csv", "tsv"])
@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum(a1)", "\t=1", "\n=1", " =1", "\x00=1"])
def test_cells_are_no_formulas(format: str, text: str) -> None:
    ((_start, _end, speaker, said),) = rows_of(
        format, transcript((word(0, 1, text, speaker=text),))
    )
    assert (said[0], speaker[0]) == ("'", "'")


@given(st.text(min_size=1), st.text())
def test_any_text_stays_in_its_row(text: str, speaker: str) -> None:
    source = transcript((word(0, 1, text, speaker=speaker),), (word(1, 2, "end"),))
    for format, columns in (("csv", 4), ("tsv", 4), ("audacity", 3)):
        rows = rows_of(format, source)
        assert [len(row) for row in rows] == [columns, columns]
        assert rows[1][-1] == "end"


# --- JSON ---------------------------------------------------------------------------------------


def validator() -> Draft202012Validator:
    schema = json.loads((settings.BASE_DIR / "docs" / "schemas" / SCHEMA).read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("choices", [{}, {"offset": -1.0, "end": 4.2}, {"frame_rate": 25.0}])
def test_json_is_valid_for_its_schema(finished: Transcription, choices: dict[str, Any]) -> None:
    exported = json.loads(export("json", transcript_of(finished, words=True), **choices))
    validator().validate(exported)
    assert exported["version"] == VERSION


def test_schema_describes_every_property(finished: Transcription) -> None:
    """A new property must be added to the schema too."""
    exported = json.loads(export("json", transcript_of(finished, words=True)))
    schema = validator().schema
    definitions = schema["$defs"]
    assert exported.keys() == schema["properties"].keys()
    assert exported["segments"][0].keys() == definitions["segment"]["properties"].keys()
    assert exported["segments"][0]["words"][0].keys() <= definitions["word"]["properties"].keys()


@pytest.mark.parametrize(("key", "value"), [("version", 2), ("duration", "1"), ("segments", [{}])])
def test_schema_refuses_other_documents(key: str, value: object) -> None:
    other = json.loads(export("json", replace(TALK, words=())))
    assert validator().is_valid(other)
    assert not validator().is_valid(other | {key: value})


def test_schema_is_public_at_a_stable_url(client: Client) -> None:
    response = client.get(f"/schemas/{SCHEMA}")
    assert response["Content-Type"] == "application/schema+json"
    assert response.json() == validator().schema
    assert client.get("/schemas/transcript-0.json").status_code == 404
