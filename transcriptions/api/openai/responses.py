"""Transcripts in OpenAI's formats."""

from __future__ import annotations

import json
import math
import string
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from gpu.joining import join, separator
from gpu.languages import whisper_name
from transcriptions.api.errors import ApiError
from transcriptions.api.openai.errors import error_body
from transcriptions.api.openai.params import TranscriptionParams
from transcriptions.api.waiting import Answer, completed, export_answer
from transcriptions.exports.documents import EXPORTERS
from transcriptions.exports.service import transcript_of
from transcriptions.models import Transcription
from transcriptions.models.segment import main_speaker

SUBTITLES = ("srt", "vtt")
FAILURE_STATUS = 400  # of OpenAI, for a recording that cannot be transcribed
TOKENS_PER_S = 10  # of audio, as OpenAI counts them
BYTES_PER_TOKEN = 4  # of text: the usual estimate
MIN_PROBABILITY = 1e-9  # JSON has no number for the logarithm of 0
UNKNOWN_SPEAKER = "unknown"  # the type requires a name

Json = dict[str, Any]


def answer_in_format(params: TranscriptionParams) -> Answer:
    """The whole transcript in the requested format."""
    if params.response_format in SUBTITLES:
        return export_answer(params.response_format, FAILURE_STATUS)
    if params.response_format == "text":
        return Answer(EXPORTERS["txt"].media_type, _text)
    return Answer("application/json", partial(_json, params=params), _failure)


def _text(row: Transcription) -> str:
    """The text of the JSON formats, also for an account that detects speakers: what clients insert
    somewhere needs no names or paragraphs."""
    return completed(row, FAILURE_STATUS).text + "\n"


def _json(row: Transcription, params: TranscriptionParams) -> str:
    return to_json(_body(completed(row, FAILURE_STATUS), params))


def _failure(error: ApiError) -> str:
    return to_json(error_body(error.code, str(error), status=error.status))


def to_json(body: Json) -> str:
    """JSON in which text in every script stays readable."""
    return json.dumps(body, ensure_ascii=False)


def _body(row: Transcription, params: TranscriptionParams) -> Json:
    if params.response_format == "json":
        return _plain(row, params)
    body: Json = {"task": params.task, "duration": row.duration or 0.0}
    if params.response_format == "verbose_json":
        return body | _verbose(row, params)
    segments = transcript_of(row, words=True).segments
    text = join(segment["text"] for segment in segments)
    names = dict(row.speakers.values_list("number", "name"))
    return body | {
        "text": text,
        "segments": [part for each in segments for part in diarized_segments(each, names)],
        "usage": usage(params.model, row.duration, text),
    }


def _plain(row: Transcription, params: TranscriptionParams) -> Json:
    segments = transcript_of(row, words=params.has_logprobs).segments
    text = join(segment["text"] for segment in segments)
    body: Json = {"text": text, "usage": usage(params.model, row.duration, text)}
    body |= languages(params.model, row.languages)
    if params.has_logprobs:
        body |= logprobs(word for segment in segments for word in segment["words"])
    return body


def languages(model: str, codes: Iterable[str]) -> Json:
    """The languages that were spoken, for the model whose type has them."""
    return {"languages": [{"code": code} for code in codes]} if model == "gpt-transcribe" else {}


def _verbose(row: Transcription, params: TranscriptionParams) -> Json:
    has_words = "word" in params.granularities
    segments = transcript_of(row, words=has_words).segments
    body: Json = {
        "language": whisper_name(row.language),
        "text": join(segment["text"] for segment in segments),
        "usage": duration_usage(row.duration),
    }
    if "segment" in params.granularities:
        body["segments"] = whisper_segments(row, segments, before="-")  # the first has a space, too
    if has_words:
        body["words"] = [_word(word) for segment in segments for word in segment["words"]]
    return body


def _word(word: Json) -> Json:
    times = {"word": word["text"], "start": word["start"], "end": word["end"]}
    return times | _channel(word)


def _channel(part: Json) -> Json:
    """The channel of a word or segment, if `channels=separate` was requested."""
    known = part.get("channel") is not None
    return {"channel": part["channel"]} if known else {}


def whisper_segments(row: Transcription, segments: Iterable[Json], before: str = "") -> list[Json]:
    """Segments of the row as Whisper writes them, without words: clients put their texts together
    without a separator, so each begins with the space that separates it from `before`, the text
    before it."""
    decodings = dict(row.segments.values_list("number", "decoding"))
    found = list[Json]()
    for segment in segments:
        space = separator(before, segment["text"])
        before = segment["text"]
        found.append(_whisper_segment(segment, decodings[segment["id"]] or {}, space))
    return found


def _whisper_segment(segment: Json, decoding: Json, space: str) -> Json:
    """All keys that clients read. Values that the engine does not know are null."""
    return {
        "id": segment["id"] - 1,
        "seek": round(segment["start"] * 100),
        "start": segment["start"],
        "end": segment["end"],
        "text": space + segment["text"],
        "tokens": decoding.get("tokens", []),
        "temperature": decoding.get("temperature", 0.0),
        "avg_logprob": decoding.get("avg_logprob"),
        "compression_ratio": decoding.get("compression_ratio")
        or _compression_ratio(segment["text"]),
        "no_speech_prob": decoding.get("no_speech_prob"),
    } | _channel(segment)


def logprobs(words: Iterable[Json]) -> Json:
    """The log probability of each word that has one; empty if the engine knows none."""
    known = [
        {
            "token": word["text"],
            "bytes": list(word["text"].encode()),
            "logprob": round(math.log(max(word["probability"], MIN_PROBABILITY)), 4),
        }
        for word in words
        if word.get("probability") is not None
    ]
    return {"logprobs": known} if known else {}


def segment_id(number: int) -> str:
    """The id of a segment of `diarized_json`, and of its first part if it is divided."""
    return f"seg_{number}"


def diarized_segments(segment: Json, names: Mapping[int, str]) -> Iterator[Json]:
    """A segment of `diarized_json`, which is also an event of its stream, divided where the speaker
    changes. `names`: the names of speakers by number."""
    parts = _by_speaker(segment) or [segment]
    for number, part in enumerate(parts, 1):
        first_id = segment_id(segment["id"])
        yield {
            "type": "transcript.text.segment",
            "id": first_id if number == 1 else f"{first_id}_{number}",
            "start": part["start"],
            "end": part["end"],
            "speaker": _speaker(part, names),
            "text": part["text"],
        }


def _by_speaker(segment: Json) -> list[Json]:
    """The parts of the segment by speaker; empty if it has one speaker."""
    parts, speaker = list[list[Json]]([[]]), None
    for word in segment["words"]:
        if speaker and word.get("speaker") not in (None, speaker):
            parts.append([])
        speaker = word.get("speaker") or speaker
        parts[-1].append(word)
    return [*_parts(segment["text"], parts)] if len(parts) > 1 else []


def _parts(text: str, parts: Iterable[Sequence[Json]]) -> Iterator[Json]:
    """Each part with its words as they stand in the text: not all words have a space before."""
    end = 0
    for words in parts:
        start = end
        for word in words:
            if (found := text.find(word["text"], end)) >= 0:
                end = found + len(word["text"])
        yield {
            "start": words[0]["start"],
            "end": words[-1]["end"],
            "speaker": main_speaker(words),
            "text": text[start:end].strip(),
        }


def _speaker(part: Json, names: Mapping[int, str]) -> str:
    """The speaker as in OpenAI's API: the name if known, else a letter."""
    if (number := part.get("speaker")) is not None:
        letters = string.ascii_uppercase
        return names.get(number) or letters[(number - 1) % 26] * (1 + (number - 1) // 26)
    channel = part.get("channel")
    return UNKNOWN_SPEAKER if channel is None else f"channel_{channel}"


def _compression_ratio(text: str) -> float:
    """Whisper's compression ratio: high if the text repeats itself."""
    data = text.encode()
    return round(len(data) / len(zlib.compress(data)), 3)


def usage(model: str, duration: float | None, text: str) -> Json:
    """What OpenAI would bill for this model: tokens for its GPT models, else time."""
    is_billed_by_token = model.startswith("gpt-")
    return token_usage(duration, text) if is_billed_by_token else duration_usage(duration)


def duration_usage(duration: float | None) -> Json:
    """The seconds of audio, rounded up as OpenAI does."""
    return {"type": "duration", "seconds": math.ceil(round(duration or 0.0, 3))}


def token_usage(duration: float | None, text: str) -> Json:
    """Estimated tokens, for clients whose type of the usage has nothing else."""
    sent = math.ceil((duration or 0.0) * TOKENS_PER_S)
    written = math.ceil(len(text.encode()) / BYTES_PER_TOKEN)
    return {
        "type": "tokens",
        "input_tokens": sent,
        "input_token_details": {"audio_tokens": sent, "text_tokens": 0},
        "output_tokens": written,
        "total_tokens": sent + written,
    }
