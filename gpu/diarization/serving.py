"""What a container does for one call: encoded audio in, turns as messages out; and, for the caller,
messages back to results. Does not use Modal."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import astuple
from pathlib import Path

from gpu.diarization.clustering import SpeakerLimits
from gpu.diarization.types import Diarization, Diarizer, Turn
from gpu.serving import Message, read_audio, usage_message, with_error
from gpu.types import UsageDelta


def diarize(
    diarizer: Diarizer,
    data: bytes,
    limits: SpeakerLimits,
    stopped: Callable[[], bool],
    traceparent: str = "",
) -> Iterator[Message]:
    """The messages of one call, the last of them `diarization` with `is_final`, or `error`. Before
    each one comes `usage`, the usage since the last one."""

    def messages() -> Iterator[Message]:
        reported = UsageDelta(0.0)
        with tempfile.TemporaryDirectory() as folder:
            for found in diarizer.stream(read_audio(data, Path(folder)), limits, stopped):
                used = found.usage or UsageDelta(0.0)
                yield usage_message(used - reported)
                reported = used
                yield message_of(found)

    return with_error(messages(), "gpu.diarize", traceparent)


def message_of(found: Diarization) -> Message:
    """The message for a result, without its usage."""
    return {
        "type": "diarization",
        "turns": [astuple(turn) for turn in found.turns],
        "until": found.until,
        "is_final": found.is_final,
        "voices": {str(speaker): voice for speaker, voice in found.voices.items()},
    }


def from_message(message: Message) -> Diarization:
    """The result of a message."""
    return Diarization(
        tuple(Turn(*turn) for turn in message["turns"]),
        message["until"],
        message["is_final"],
        {int(speaker): tuple(voice) for speaker, voice in message["voices"].items()},
    )
