"""The options of an export in the URL."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from pydantic import ValidationError

from transcriptions.exports.options import DEFAULT_OPTIONS
from transcriptions.exports.params import ExportParams, exact_frame_rate
from transcriptions.exports.profiles import PROFILES
from transcriptions.models import Transcription


def params(**values: str) -> ExportParams:
    """Parameters from a query, in which every value is text."""
    return ExportParams.model_validate(values)


def test_defaults_of_the_api_are_those_of_the_exporters() -> None:
    assert ExportParams().options() == DEFAULT_OPTIONS


def test_every_option_is_a_parameter() -> None:
    options = params(
        profile="bbc",
        language="pt-BR",
        speakers="no",
        times="1",
        notes="true",
        karaoke="true",
        top="true",
        start="1.5",
        end="20",
        offset="-2",
        stretch="25/23.976",
        frame_rate="29.97",
    ).options()
    assert (options.profile, options.language) == (PROFILES["bbc"], "pt")
    assert (options.speakers, options.times, options.karaoke) == (False, True, True)
    assert (options.top, options.notes) == (True, True)
    assert (options.start, options.end, options.offset) == (1.5, 20, -2)
    assert options.stretch == pytest.approx(25 * 1001 / 24_000, rel=1e-12)
    assert options.frame_rate == pytest.approx(30_000 / 1001, rel=1e-12)


@pytest.mark.parametrize(
    ("rate", "exact"),
    [
        (23.976, 24_000 / 1001),
        (23.98, 24_000 / 1001),
        (29.97, 30_000 / 1001),
        (59.94, 60_000 / 1001),
        (119.88, 120_000 / 1001),
        *((rate, rate) for rate in (1, 1.001, 1.04, 4, 10, 12.5, 24, 25, 30, 48, 50, 60, 100, 120)),
    ],
)
def test_rounded_rates_of_television_are_exact(rate: float, exact: float) -> None:
    assert exact_frame_rate(rate) == pytest.approx(exact, rel=1e-12)


def test_number_that_is_not_given_can_be_empty() -> None:
    options = params(end="", frame_rate="").options()
    assert (options.end, options.frame_rate) == (None, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("language", "xx"),
        ("speakers", "maybe"),
        ("start", "-1"),
        ("start", "nan"),
        ("end", "1e9"),
        ("end", "0"),
        ("offset", "inf"),
        ("offset", "ten"),
        ("offset", "-1e9"),
        ("stretch", "0"),
        ("stretch", "1/0"),
        ("stretch", "0/0"),
        ("stretch", "25:24"),
        ("stretch", "-1"),
        ("stretch", "1e3"),
        ("stretch", "0.01"),
        ("stretch", "٢"),
        ("frame_rate", "0"),
        ("frame_rate", "9"),
        ("frame_rate", "nan"),
        ("frame_rate", "1000"),
    ],
)
@pytest.mark.covers("attack", "An option of an export is not a number, infinite or out of range")
def test_invalid_option_is_refused_with_its_name(name: str, value: str) -> None:
    with pytest.raises(ValidationError) as error:
        params(**{name: value})
    assert error.value.errors()[0]["loc"] == (name,)


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("format=doc", "The field 'format': use one of txt, md, docx, pdf, srt, "),
        ("profile=hbo", "The field 'profile': use one of netflix, netflix-children, bbc, "),
        ("start=5&end=4", "The field 'end': it must be greater than start."),
        ("stretch=24:25", "two frame rates such as 25/23.976."),
        ("stretch=99", "The field 'stretch': use a value from 0.1 to 10."),
    ],
)
def test_message_says_what_is_allowed(
    api: Client, finished: Transcription, query: str, detail: str
) -> None:
    response = api.get(f"/api/transcriptions/{finished.id}/export?{query}")
    assert (response.status_code, response.json()["code"]) == (422, "invalid_field")
    assert detail in response.json()["detail"]


def test_options_take_effect(api: Client, finished: Transcription) -> None:
    url = f"/api/transcriptions/{finished.id}/export"
    query: dict[str, Any] = {"format": "srt", "start": 1, "end": 2, "offset": 60}
    content = api.get(url, query).content.decode()
    assert content.startswith("1\n00:01:01,000 --> 00:01:02,4")
    assert content.endswith("\nSentence 2.\n")
