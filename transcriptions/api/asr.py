"""The API of whisper-asr-webservice, which Bazarr uses: `POST /asr` and `POST /detect-language`.

https://github.com/ahmetoner/whisper-asr-webservice. Its clients send no token in a header, but can
have one in the URL: http://any:tk_...@host becomes basic authentication.
"""

from __future__ import annotations

from contextlib import aclosing, suppress
from functools import partial
from typing import Annotated, Literal

from asgiref.sync import async_to_sync
from django.db import connections
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from ninja import File, Query, Router, UploadedFile

from accounts import concurrency
from accounts.authentication import authenticated_user
from gpu.diarization.clustering import MAX_SPEAKERS
from gpu.languages import whisper_name
from transcriptions import permissions
from transcriptions.api.asr_json import whisper_json
from transcriptions.api.errors import ApiError, failure_error
from transcriptions.api.waiting import Answer, answer_at_end, completed, export_answer
from transcriptions.exceptions import WrongState
from transcriptions.exports.service import transcript_of
from transcriptions.models import State, Transcription
from transcriptions.processing import commands
from transcriptions.realtime.streams import subscribe
from transcriptions.schemas.events import MetadataEvent
from transcriptions.uploads.params import MAX_PROMPT_CHARS, UploadParams
from transcriptions.uploads.requests import create_from_request

router = Router()

# The input of clients that send samples instead of a file (`encode=false`).
RAW_MEDIA_TYPE = "audio/pcm;rate=16000;channels=1"
TEXT = "text/plain; charset=utf-8"  # the type of all responses
FAILURE_STATUS = 422  # if the recording cannot be transcribed

Output = Literal["txt", "vtt", "srt", "tsv", "json"]
AudioFile = Annotated[UploadedFile, File(description="A recording, or raw samples")]
SpeakerCount = Annotated[int | None, Query(ge=1, le=MAX_SPEAKERS)]
WordTimestamps = Annotated[bool, Query(description="With words in the segments of JSON")]
Encode = Annotated[bool, Query(description="False: 16-bit samples at 16 kHz without a header")]


@router.post("/asr")
def transcribe(
    request: HttpRequest,
    audio_file: AudioFile,
    encode: Encode = True,
    task: Literal["transcribe", "translate"] = "transcribe",
    language: str = "",
    initial_prompt: Annotated[str, Query(max_length=MAX_PROMPT_CHARS)] = "",
    output: Output = "txt",
    word_timestamps: WordTimestamps = False,
    diarize: bool | None = None,
    min_speakers: SpeakerCount = None,
    max_speakers: SpeakerCount = None,
) -> HttpResponseBase:
    """Transcribe a recording and wait for the text or the subtitles."""
    params = UploadParams(
        language=language,
        prompt=initial_prompt,
        task=task,
        diarize=diarize,
        min_speakers=min_speakers,
        max_speakers=max_speakers,
    )
    create = partial(_create, request, audio_file, encode, params)
    content = _answer(output, word_timestamps, named=bool(diarize))
    return answer_at_end(authenticated_user(request), create, content)


@router.post("/detect-language")
def detect_language(
    request: HttpRequest, audio_file: AudioFile, encode: Encode = True
) -> dict[str, str]:
    """Detect the language that is spoken first. The recording is not kept, and only as much of it
    as needed is transcribed."""
    user = authenticated_user(request)
    with concurrency.streams.hold(user):
        row = _create(request, audio_file, encode, UploadParams(diarize=False))
        connections.close_all()  # no database connection is needed while waiting
        language = async_to_sync(_first_language)(row)
    row = permissions.transcription_for(user, row.id)
    with suppress(WrongState):
        commands.cancel(row)
    row.delete()
    if row.state == State.FAILED:
        raise failure_error(row.error_code, row.error_message, FAILURE_STATUS)
    if not language:
        raise ApiError(422, "no_speech", _("No speech was found in this recording."))
    return {"detected_language": whisper_name(language), "language_code": language}


async def _first_language(row: Transcription) -> str:
    """The first language; empty without speech or after a failure."""
    async with aclosing(subscribe(row.id)) as events:
        async for event in events:
            if isinstance(event, MetadataEvent):
                return event.language
    return ""


def _create(
    request: HttpRequest, file: UploadedFile, encode: bool, params: UploadParams
) -> Transcription:
    if not encode:
        file.content_type = RAW_MEDIA_TYPE
    return create_from_request(request, file, params, key="")


def _answer(output: Output, word_timestamps: bool, *, named: bool) -> Answer:
    if output == "txt":
        return Answer(TEXT, partial(_txt, named=named))
    if output == "tsv":
        return Answer(TEXT, _tsv)
    if output == "json":
        return Answer(TEXT, partial(_json, word_timestamps=word_timestamps))
    return export_answer(output, FAILURE_STATUS, TEXT)


def _txt(row: Transcription, named: bool) -> str:
    """A line for each segment, like Whisper; with `named`, speakers in front, like WhisperX."""
    transcript = transcript_of(completed(row, FAILURE_STATUS), words=False)
    lines = [" ".join(segment["text"].split()) for segment in transcript.segments]
    if named:
        labels = [transcript.speakers.get(s["speaker"], "") for s in transcript.segments]
        lines = [
            f"[{name}]: {line}" if name else line for name, line in zip(labels, lines, strict=True)
        ]
    return "".join(f"{line}\n" for line in lines)


def _tsv(row: Transcription) -> str:
    """Whisper's table: start and end in milliseconds, and the text."""
    segments = transcript_of(completed(row, FAILURE_STATUS), words=False).segments
    rows = [
        (round(s["start"] * 1000), round(s["end"] * 1000), " ".join(s["text"].split()))
        for s in segments
    ]
    lines = [("start", "end", "text"), *rows]
    return "".join("\t".join(map(str, line)) + "\n" for line in lines)


def _json(row: Transcription, word_timestamps: bool) -> str:
    return whisper_json(completed(row, FAILURE_STATUS), words=word_timestamps)
