"""The list of media formats: file picker, API, messages and documents agree with it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.test import Client
from ninja.responses import NinjaJSONEncoder

from transcodio_site.api import api
from transcodio_site.testing import ROOT
from transcriptions.media_formats import ACCEPT, COMMON_FORMATS, FORMATS
from transcriptions.raw_audio import RAW_FORMATS

RAW_ROW = re.compile(r"^\| ([^|]+?) \| (`audio/[^|]+?) \| ([^|]*?) ?\|$", re.MULTILINE)
ROW = re.compile(r"^\| ([^|]+?) \| (`\.[^|]+?) \|$", re.MULTILINE)


def test_documents_list_every_format() -> None:
    rows = ROW.findall((ROOT / "docs/formats.md").read_text())
    documented = [(name, tuple(re.findall(r"`\.([^`]+)`", cell))) for name, cell in rows]
    assert documented == [(format.name, format.extensions) for format in FORMATS]


def test_documents_list_every_format_without_a_header() -> None:
    rows = RAW_ROW.findall((ROOT / "docs/formats.md").read_text())
    documented = [
        (name, re.findall(r"`([^`]+)`", types), re.findall(r"`\.([^`]+)`", extensions))
        for name, types, extensions in rows
    ]
    expected = [(raw.name, [*raw.media_types], [*raw.extensions]) for raw in RAW_FORMATS]
    assert documented == expected


def test_documents_name_the_common_formats() -> None:
    named = COMMON_FORMATS.replace(" or ", ", ")
    guide = " ".join((ROOT / "docs/api.md").read_text().split())
    assert f"{named} and many other [formats](formats.md)" in guide


def test_common_formats_are_in_the_list() -> None:
    extensions = {extension for format in FORMATS for extension in format.extensions}
    names = COMMON_FORMATS.replace(" or ", ", ").lower().split(", ")
    assert set(names) <= extensions


@pytest.mark.django_db
def test_file_picker_offers_every_format(alice: Any) -> None:
    client = Client()
    client.force_login(alice)
    page = client.get("/").content.decode()
    assert f'accept="{ACCEPT}"' in page
    assert COMMON_FORMATS in page
    for format in (*FORMATS, *RAW_FORMATS):
        assert {f".{extension}" for extension in format.extensions} <= set(ACCEPT.split(","))


UPLOADS = ("/api/transcribe", "/api/transcribe/stream", "/api/transcriptions")


@pytest.mark.parametrize("path", UPLOADS)
def test_api_describes_every_format(path: str) -> None:
    document = json.loads(json.dumps(api.get_openapi_schema(), cls=NinjaJSONEncoder))
    form = document["paths"][path]["post"]["requestBody"]["content"]["multipart/form-data"]
    description = form["schema"]["properties"]["file"]["description"]
    for format in FORMATS:
        assert re.search(rf"[:,] {re.escape(format.name)}[,.]", description), format
    for raw in RAW_FORMATS:
        assert re.search(rf"[:;] {re.escape(raw.name)}[;.]", description), raw
