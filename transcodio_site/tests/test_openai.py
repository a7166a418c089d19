"""The official OpenAI client with our base URL, against a running stack."""

from __future__ import annotations

import asyncio
import base64
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import httpx2
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.audio import TranscriptionDiarized
from openai.types.audio.transcription import UsageTokens

from transcodio_site.testing import WAIT_S, Media, Stack, wait_until
from transcodio_site.testing_media import CHANGES_S


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    return stack.token("openai@example.com")


@pytest.fixture
def client(stack: Stack, key: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{stack.url}/v1", api_key=key) as client:
        yield client


@pytest.fixture(scope="module")
def short(media: Media) -> Path:
    return media.speech("short.mp3", 6)


def transcribe(client: OpenAI, file: Path, model: str = "whisper-1", **options: Any) -> Any:
    return client.audio.transcriptions.create(file=file, model=model, **options)


@pytest.mark.parametrize("model", ["whisper-1", "whisper-large-v3", ""])
def test_json_has_text_and_usage(client: OpenAI, short: Path, model: str) -> None:
    response = transcribe(client, short, model)
    assert "walking along the harbor" in response.text
    assert (response.usage.type, response.usage.seconds) == ("duration", 6)


def test_usage_of_gpt_models_is_in_tokens(client: OpenAI, short: Path) -> None:
    usage = transcribe(client, short, "gpt-4o-mini-transcribe-2025-12-15").usage
    assert isinstance(usage, UsageTokens)
    assert usage.input_tokens == pytest.approx(60, abs=1)
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert usage.output_tokens > 5


def test_diarized_json_has_speakers(client: OpenAI, short: Path) -> None:
    response = transcribe(
        client,
        short,
        "gpt-4o-transcribe-diarize",
        response_format="diarized_json",
        chunking_strategy="auto",
    )
    assert isinstance(response, TranscriptionDiarized)
    assert " ".join(segment.text for segment in response.segments) == response.text
    assert {segment.speaker for segment in response.segments} == {"A"}
    assert response.segments[0].type == "transcript.text.segment"


def data_url(path: Path) -> str:
    return f"data:audio/wav;base64,{base64.b64encode(path.read_bytes()).decode()}"


@pytest.mark.slow
def test_known_speakers_have_their_names(client: OpenAI, media: Media) -> None:
    talk = str(media.two_voices("talk.wav"))
    file = media.make("short_talk.mp3", "-i", talk, "-t", str(CHANGES_S[1]))
    # A recording of what the same people say later.
    agent, customer = (
        media.make(f"{start}.wav", "-ss", str(start + 0.5), "-i", talk, "-t", "6")
        for start in CHANGES_S[1:]
    )
    known: dict[str, Any] = {
        "response_format": "diarized_json",
        "extra_body": {"speakers": 2},
        "known_speaker_names": ["agent", "customer"],
        "known_speaker_references": [data_url(agent), data_url(customer)],
    }
    model = "gpt-4o-transcribe-diarize"
    response = transcribe(client, file, model, **known)
    speakers = [segment.speaker for segment in response.segments]
    assert list(dict.fromkeys(speakers)) == ["agent", "customer"]
    events = transcribe(client, file, model, stream=True, **known)
    streamed = [e.speaker for e in events if e.type == "transcript.text.segment"]
    assert streamed == speakers
    known["known_speaker_references"] = [data_url(agent)]
    with pytest.raises(openai.BadRequestError, match="the same number") as refused:
        transcribe(client, file, model, **known)
    assert refused.value.param == "known_speaker_references"


def test_fields_in_every_form_are_accepted(client: OpenAI, short: Path) -> None:
    vad = {"type": "server_vad", "threshold": 0.5}
    response = transcribe(
        client,
        short,
        chunking_strategy=vad,
        languages=["en"],
        keywords=["harbor", "Transcodio"],
        prompt="A walk.",
        temperature=0,
        timestamp_granularities=["word"],  # with json
        include=["logprobs"],
        extra_body={"language": "", "hotwords": ""},
    )
    assert "harbor" in response.text


@pytest.mark.parametrize(
    ("response_format", "start"),
    [("text", "Good morning"), ("srt", "1\n00:00:0"), ("vtt", "WEBVTT")],
)
def test_text_and_subtitle_formats_are_not_json(
    client: OpenAI, short: Path, response_format: str, start: str
) -> None:
    assert transcribe(client, short, response_format=response_format).startswith(start)


def test_verbose_json_has_segments_and_words(client: OpenAI, short: Path) -> None:
    both = ["word", "segment"]
    response = transcribe(
        client,
        short,
        response_format="verbose_json",
        timestamp_granularities=both,
        language="en_US",
    )
    assert response.usage.seconds == 6
    assert (response.language, response.duration) == ("english", pytest.approx(6, abs=0.1))
    assert [segment.id for segment in response.segments] == [*range(len(response.segments))]
    assert "".join(segment.text for segment in response.segments).strip() == response.text
    assert all(segment.compression_ratio > 0 for segment in response.segments)
    assert [word.word for word in response.words] == response.text.split()
    assert all(word.start <= word.end <= 7 for word in response.words)


def test_verbose_json_has_segments_only_by_default(client: OpenAI, short: Path) -> None:
    response = transcribe(client, short, response_format="verbose_json")
    assert response.segments
    assert response.words is None


@pytest.mark.slow
def test_stream_deltas_join_to_the_text(client: OpenAI, media: Media) -> None:
    events = list(transcribe(client, media.speech("longer.mp3", 20), stream=True))
    assert {event.type for event in events[:-1]} == {"transcript.text.delta"}
    assert len(events) > 2
    assert events[-1].type == "transcript.text.done"
    assert "".join(event.delta for event in events[:-1]) == events[-1].text
    assert events[-1].usage.type == "tokens"
    assert events[-1].usage.input_tokens == pytest.approx(200, abs=1)


def test_diarized_stream_has_segments(client: OpenAI, short: Path) -> None:
    options: dict[str, Any] = {"stream": True, "response_format": "diarized_json"}
    *events, done = transcribe(client, short, **options)
    segments = [event for event in events if event.type == "transcript.text.segment"]
    deltas = [event for event in events if event.type == "transcript.text.delta"]
    assert [segment.id for segment in segments] == [delta.segment_id for delta in deltas]
    assert {segment.speaker for segment in segments} == {"A"}
    assert done.text == " ".join(segment.text for segment in segments)


async def test_async_client_transcribes_and_streams(stack: Stack, key: str, short: Path) -> None:
    async with AsyncOpenAI(base_url=f"{stack.url}/v1", api_key=key) as client:
        whole, stream = await asyncio.gather(
            client.audio.transcriptions.create(file=short, model="whisper-1"),
            client.audio.transcriptions.create(file=short, model="whisper-1", stream=True),
        )
        deltas = [event.delta async for event in stream if event.type == "transcript.text.delta"]
    assert "".join(deltas) == whole.text


class TimingOutOnce(httpx2.HTTPTransport):
    """Breaks the connection of the first request as soon as the server has it."""

    def __init__(self, has_arrived: Callable[[], object]) -> None:
        super().__init__()
        self.has_arrived = has_arrived
        self.connection: socket.socket | None = None

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.connection:
            return super().handle_request(request)
        request.extensions["trace"] = self._trace
        threading.Thread(target=self._send, args=(request,), daemon=True).start()
        wait_until(self.has_arrived)
        assert self.connection
        self.connection.shutdown(socket.SHUT_RDWR)
        raise httpx2.ReadTimeout("no answer in time", request=request)

    def _trace(self, event: str, info: dict[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            self.connection = info["return_value"].get_extra_info("socket")

    def _send(self, request: httpx2.Request) -> None:
        with suppress(httpx2.HTTPError):
            super().handle_request(request)


def test_request_that_is_sent_again_after_a_timeout_is_billed_once(
    stack: Stack, media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = stack.token("impatient@example.com")
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    with httpx.Client(headers={"Authorization": f"Bearer {key}"}, base_url=stack.url) as api:
        transport = TimingOutOnce(lambda: _states(api))
        http = httpx2.Client(transport=transport, timeout=WAIT_S)
        with OpenAI(base_url=f"{stack.url}/v1", api_key=key, http_client=http) as hasty:
            answer = transcribe(hasty, media.speech("long.mp3", 12))
        assert "walking along the harbor" in answer.text
        assert _states(api) == ["completed"]


def _states(api: httpx.Client) -> list[str]:
    return [row["state"] for row in api.get("/api/transcriptions").json()["items"]]


def test_models_are_listed_and_retrieved(client: OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert {"whisper-1", "transcodio"} <= set(names)
    for name in ("whisper-1", "openai/whisper-large-v3"):
        model = client.models.retrieve(name)
        assert (model.object, model.id) == ("model", name)


def test_wrong_key_is_401(stack: Stack, short: Path) -> None:
    with OpenAI(base_url=f"{stack.url}/v1", api_key="tk_wrong") as unauthenticated:
        with pytest.raises(openai.AuthenticationError, match="valid API token") as error:
            transcribe(unauthenticated, short)
    assert error.value.code == "invalid_api_key"


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"temperature": 7}, "temperature"),
        ({"language": "klingon"}, "language"),
        ({"response_format": "xml"}, "response_format"),
        ({"timestamp_granularities": ["sentence"]}, "timestamp_granularities"),
    ],
)
def test_invalid_parameter_is_named(
    client: OpenAI, short: Path, options: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as error:
        transcribe(client, short, **options)
    assert error.value.param == param


def test_invalid_media_is_refused(client: OpenAI, media: Media) -> None:
    with pytest.raises(openai.APIStatusError, match="not a recording"):
        transcribe(client, media.bytes("diary.mp3", b"Dear diary"))
    with pytest.raises(openai.BadRequestError, match="no sound in this file"):
        transcribe(client, media.silent_film("film.mp4"))
    with pytest.raises(openai.APIError, match="no sound in this file"):
        list(transcribe(client, media.silent_film("film.mp4"), stream=True))


def test_upload_larger_than_limit_is_413(client: OpenAI, media: Media) -> None:
    large = media.bytes("large.wav", b"RIFF" + bytes(12 << 20))
    with pytest.raises(openai.APIStatusError, match="larger than 8 MB") as error:
        transcribe(client, large)
    assert (error.value.status_code, error.value.code) == (413, "file_too_large")


def test_translation_has_the_official_types(client: OpenAI, short: Path) -> None:
    """That the engine translates is tested in transcriptions/api/tests/test_translation.py."""
    translate = client.audio.translations.create
    assert "harbor" in translate(file=short, model="whisper-1").text
    verbose = translate(file=short, model="whisper-1", response_format="verbose_json")
    assert verbose.language == "english"


def test_errors_have_all_four_keys(stack: Stack, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    for response in (
        httpx.get(f"{stack.url}/v1/models"),
        httpx.post(f"{stack.url}/v1/audio/transcriptions", headers=headers),
        httpx.post(f"{stack.url}/v1/audio/translations", headers=headers),
    ):
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}
        assert response.headers["x-should-retry"] == "false"
