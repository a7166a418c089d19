"""The API of whisper-asr-webservice, as Bazarr and a plugin of Obsidian call it: with the token in
the URL of the server, and samples without a header (Bazarr)."""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx
import pytest

from transcodio_site import __version__
from transcodio_site.testing import WAIT_S, Media, Stack

post = partial(httpx.post, timeout=WAIT_S)


@pytest.fixture(scope="module")
def endpoint(stack: Stack) -> str:
    """The URL that a user enters in Bazarr."""
    return stack.url.replace("http://", f"http://any:{stack.token('bazarr@example.com')}@")


@pytest.fixture(scope="module")
def samples(media: Media) -> bytes:
    """Six seconds of speech, 16-bit at 16 kHz."""
    return media.speech("spoken.sw", 6, "-f", "s16le", "-ac", "1", "-ar", "16000").read_bytes()


def upload(endpoint: str, path: str, content: bytes, **params: Any) -> httpx.Response:
    return post(f"{endpoint}{path}", params=params, files={"audio_file": content})


def test_bazarr_gets_subtitles(endpoint: str, samples: bytes) -> None:
    response = upload(
        endpoint, "/asr", samples, task="transcribe", language="en", output="srt", encode="false"
    )
    assert response.status_code == 200, response.text
    assert response.text.startswith("1\n00:00:0")
    assert "walking along the harbor" in response.text


def test_speakers_are_in_the_subtitles(endpoint: str, samples: bytes) -> None:
    options = {"output": "vtt", "encode": "false", "diarize": "true", "max_speakers": 2}
    response = upload(endpoint, "/asr", samples, **options)
    assert "<v Speaker 1>" in response.text
    text = upload(endpoint, "/asr", samples, **(options | {"output": "txt"})).text
    assert all(line.startswith("[Speaker 1]: ") for line in text.splitlines())
    assert upload(endpoint, "/asr", samples, min_speakers=0).status_code == 422


def test_bazarr_detects_the_language_and_nothing_is_kept(endpoint: str, samples: bytes) -> None:
    response = upload(endpoint, "/detect-language", samples, encode="false")
    assert response.json() == {"detected_language": "english", "language_code": "en"}
    before = recordings(endpoint)
    upload(endpoint, "/detect-language", samples, encode="false")
    assert recordings(endpoint) == before


def recordings(endpoint: str) -> list[str]:
    return [row["id"] for row in httpx.get(f"{endpoint}/api/transcriptions").json()["items"]]


def test_connection_test_shows_the_version(stack: Stack) -> None:
    """Bazarr sends it without the token."""
    response = httpx.get(f"{stack.url}/status", timeout=WAIT_S, follow_redirects=False)
    assert (response.status_code, response.json()["version"]) == (200, __version__)


def test_file_with_a_header_in_all_formats(endpoint: str, media: Media) -> None:
    content = media.speech("spoken.mp3", 6).read_bytes()
    for output, start in (("txt", "Good"), ("vtt", "WEBVTT"), ("tsv", "start\tend\ttext\n")):
        assert upload(endpoint, "/asr", content, output=output).text.startswith(start)
    body = upload(endpoint, "/asr", content, output="json").json()
    text = upload(endpoint, "/asr", content).text
    assert text == "".join(f"{segment['text'].strip()}\n" for segment in body["segments"])
    assert (body["language"], body["segments"][0]["id"]) == ("en", 0)
    assert "harbor" in body["text"]


def test_plugin_of_obsidian_gets_the_time_of_each_word(stack: Stack, media: Media) -> None:
    """The request of Transcription 3.4.0: the token only after a challenge, and a form that the
    plugin writes itself."""
    token = stack.token("obsidian@example.com")
    boundary = "----BoundaryNm2rt0xs1v8cNm2r"
    part = (
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="audio_file"; filename="blob"\r\n'
        'Content-Type: "application/octet-stream"\r\n\r\n'
    )
    content = media.speech("spoken.mp3", 6).read_bytes()
    request: dict[str, Any] = {
        "url": f"{stack.url}/asr?output=json&word_timestamps=true",
        "headers": {"Content-Type": f"multipart/form-data; boundary={boundary}"},
        "content": part.encode() + content + f"\r\n--{boundary}--\r\n".encode(),
    }
    refused = post(**request)
    assert refused.headers["WWW-Authenticate"].startswith('Basic realm="')
    body = post(**request, auth=httpx.BasicAuth("any", token)).json()
    words = [word for segment in body["segments"] for word in segment["words"]]
    assert "".join(word["word"] for word in words) == body["text"]
    assert all(word["start"] < word["end"] for word in words)


def test_errors_say_what_is_wrong(endpoint: str, stack: Stack, media: Media) -> None:
    silence = media.silence("silence.wav", 2).read_bytes()
    response = upload(endpoint, "/detect-language", silence)
    assert (response.status_code, response.json()["code"]) == (422, "no_speech")
    response = upload(endpoint, "/asr", b"no recording at all")
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_format")
    for url in (stack.url, stack.url.replace("http://", "http://any:tk_wrong@")):
        assert upload(url, "/asr", silence).status_code == 401
