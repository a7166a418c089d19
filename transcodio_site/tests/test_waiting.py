"""Transcripts that take longer than a proxy keeps a silent connection open."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import OpenAI

from transcodio_site.testing import WAIT_S, Media, Stack


@pytest.fixture(scope="module")
def url(stack: Stack) -> Iterator[str]:
    """A web process on the data of the stack that begins to respond before any transcription is
    complete."""
    with stack.another_web(KEEP_ALIVE_SECONDS="0.05") as (url, _pid):
        yield url


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    return stack.token("waiting@example.com")


@pytest.fixture
def client(url: str, key: str) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=url, headers=headers, timeout=WAIT_S) as client:
        yield client


def post(client: httpx.Client, media: Media, response_format: str) -> httpx.Response:
    with media.speech("short.mp3", 6).open("rb") as file:
        data = {"response_format": response_format}
        return client.post("/v1/audio/transcriptions", files={"file": file}, data=data)


@pytest.mark.slow
@pytest.mark.covers("fault", "A proxy cuts connections on which nothing is sent for a while")
def test_connection_is_not_silent_while_a_recording_is_processed(
    client: httpx.Client, stack: Stack, media: Media
) -> None:
    with media.speech("longer.mp3", 12).open("rb") as file:
        with stack.hold():
            request = client.build_request("POST", "/api/transcribe", files={"file": file})
            response = client.send(request, stream=True)
            chunks = response.iter_raw()
            received = [next(chunks) for _ in range(5)]  # nothing is completed meanwhile
        assert response.status_code == 200
        assert {*b"".join(received)} == {*b"\n"}
        body = json.loads(b"".join([*received, *chunks]))
    assert body["state"] == "completed"
    assert "harbor" in body["text"]


@pytest.mark.slow
def test_official_client_reads_a_late_answer(url: str, key: str, media: Media) -> None:
    with OpenAI(base_url=f"{url}/v1", api_key=key) as client:
        create = client.audio.transcriptions.with_raw_response.create
        raw = create(file=media.speech("short.mp3", 6), model="whisper-1")
        assert raw.text.startswith("\n")
        assert "harbor" in raw.parse().text


def test_late_text_and_subtitles_are_valid(client: httpx.Client, media: Media) -> None:
    text = post(client, media, "text").text
    assert text.startswith("\n")
    assert "harbor" in text
    srt = post(client, media, "srt").text
    assert srt.startswith("\n")
    assert srt.lstrip().startswith("1\n00:00:0")
    vtt = post(client, media, "vtt").text
    assert vtt.startswith("WEBVTT\n\n")  # nothing may come before it
    assert vtt.count("WEBVTT") == 1
    assert "-->" in vtt


@pytest.mark.parametrize("path", ["/api/transcribe", "/v1/audio/transcriptions"])
def test_late_failure_is_an_error_in_the_json(
    client: httpx.Client, media: Media, path: str
) -> None:
    with media.silent_film("film.mp4").open("rb") as file:
        response = client.post(path, files={"file": file})
    assert response.status_code == 200
    body: dict[str, Any] = response.json()
    error = body["error"] if path.startswith("/v1") else body
    assert error["code"] == "no_audio"


@pytest.mark.covers("fault", "A transcription fails after its response has begun")
def test_late_failure_cuts_off_text(client: httpx.Client, media: Media) -> None:
    data = {"response_format": "text"}
    with media.silent_film("film.mp4").open("rb") as file:
        with pytest.raises(httpx.RemoteProtocolError):
            client.post("/v1/audio/transcriptions", files={"file": file}, data=data)
    assert client.get("/v1/models").status_code == 200
