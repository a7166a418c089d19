"""What every engine speaks: audio in, words with times out, and how it can go wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class EngineError(Exception):
    """The engine could not do its work.

    `code` is for programs, `sentence` for the person who uploaded; the exception's own text is for
    the operator's log.
    """

    code = "engine_failed"
    sentence = "The recording could not be transcribed. Please try again."


class EngineUnavailable(EngineError):
    """The engine cannot be used at all just now: no weights, no account, not reachable."""

    code = "engine_unavailable"
    sentence = "Speech recognition is not available at the moment. Please try again later."


class NotDeployed(EngineUnavailable):
    """Modal knows no such app."""

    code = "engine_not_deployed"


class NotAuthenticated(EngineUnavailable):
    """Modal does not accept the token, or there is none."""

    code = "engine_not_authenticated"


class Unreachable(EngineUnavailable):
    """Nobody answers at Modal's address."""

    code = "engine_unreachable"


class NotTried(Unreachable):
    """Nobody was asked, as it has just failed too often."""


class DeviceLost(EngineUnavailable):
    """The GPU has failed in mid-work; whoever was on it may try again."""

    code = "device_lost"


class DeviceGone(DeviceLost):
    """And this process does not get it back: another one has to be started."""


class OutOfMemory(EngineError):
    """The GPU has no room left."""

    code = "out_of_memory"
    sentence = "Speech recognition is overloaded at the moment. Please try again in a few minutes."


class BadAudio(EngineError):
    """The engine cannot read the audio that it was sent."""

    code = "bad_audio"
    sentence = "The audio could not be read. Please upload the recording again."


class UnsupportedLanguage(EngineError):
    """This engine does not know the language that was asked for."""

    code = "unsupported_language"
    sentence = "This language is not supported by the speech engine. Choose another one."


class DeadlineExceeded(EngineError):
    """It took longer than it may."""

    code = "timed_out"
    sentence = "The transcription took too long and was stopped. Please try again."


class Cancelled(EngineError):
    """The caller asked to stop."""

    code = "cancelled"
    sentence = "The transcription was cancelled."


ERRORS = (
    EngineUnavailable,
    NotDeployed,
    NotAuthenticated,
    Unreachable,
    DeviceLost,
    OutOfMemory,
    BadAudio,
    UnsupportedLanguage,
    DeadlineExceeded,
    Cancelled,
)


def error_of(message: dict[str, Any]) -> EngineError:
    """The error that a machine elsewhere has told of, by its `code` and `reason`."""
    kinds = {kind.code: kind for kind in ERRORS}
    kind = kinds.get(message.get("code", ""), EngineError)
    return kind(message.get("reason") or message)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of speech, in seconds from the start of the recording."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Audio:
    """A recording ready for an engine: a mono 24 kHz 16-bit WAV, and where speech lies in it."""

    path: Path
    duration: float
    spans: tuple[Span, ...]
    language: str | None = None

    def after(self, position: float) -> Audio:
        """The same recording with all speech before `position` (seconds) taken away."""
        spans = tuple(Span(max(s.start, position), s.end) for s in self.spans if s.end > position)
        return Audio(self.path, self.duration, spans, self.language)


@dataclass(frozen=True, slots=True)
class Word:
    """One word with its times in seconds; `text` carries no surrounding space.

    `glued` words follow the one before them without a space, as in Chinese or Japanese.
    """

    start: float
    end: float
    text: str
    glued: bool = False


def _joined(words: tuple[Word, ...]) -> str:
    return "".join(word.text if word.glued else f" {word.text}" for word in words).strip()


@dataclass(frozen=True, slots=True)
class Segment:
    """A sentence or so: what a reader takes in at once. Its times are those of its words."""

    words: tuple[Word, ...]

    @property
    def start(self) -> float:
        """Seconds."""
        return self.words[0].start

    @property
    def end(self) -> float:
        """Seconds."""
        return self.words[-1].end

    @property
    def text(self) -> str:
        """The words, as they are read."""
        return _joined(self.words)


@dataclass(frozen=True, slots=True)
class Partial:
    """Words that are not yet a whole segment; each one replaces the one before."""

    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        """The words, as they are read."""
        return _joined(self.words)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the engine knows before the first word."""

    language: str
    model: str


@dataclass(frozen=True, slots=True)
class Complete:
    """The meter, all in seconds: how much audio was decoded, and what that took.

    `decode_seconds` is this recording's share of what decoded it, however many shared that;
    `queue_seconds` is how long it waited for a place, `load_seconds` for a machine to start.
    """

    audio_seconds: float
    decode_seconds: float
    queue_seconds: float = 0.0
    load_seconds: float = 0.0
    gpu: str = ""  # its type, if it is paid by the second

    @property
    def real_time_factor(self) -> float:
        """Processing time / audio time: lower is better."""
        return self.decode_seconds / self.audio_seconds if self.audio_seconds else 0.0


@dataclass(frozen=True, slots=True)
class Spent:
    """The meter since the last one, said before what it has brought forth: who stops listening
    before Complete knows what was used until then."""

    decode_seconds: float
    gpu: str = ""  # its type, if it is paid by the second
    queue_seconds: float = 0.0
    load_seconds: float = 0.0

    def __add__(self, more: Spent) -> Spent:
        return Spent(
            self.decode_seconds + more.decode_seconds,
            more.gpu or self.gpu,
            self.queue_seconds + more.queue_seconds,
            self.load_seconds + more.load_seconds,
        )

    def __bool__(self) -> bool:
        return any((self.decode_seconds, self.queue_seconds, self.load_seconds))

    def since(self, before: Spent) -> Spent:
        """What has come to it."""
        return Spent(
            self.decode_seconds - before.decode_seconds,
            self.gpu,
            self.queue_seconds - before.queue_seconds,
            self.load_seconds - before.load_seconds,
        )


EngineEvent = Metadata | Partial | Segment | Spent | Complete


class Engine(Protocol):
    """Turns audio into words. One instance serves all threads of a process."""

    name: str

    def stream(self, audio: Audio, stopped: Callable[[], bool]) -> Iterator[EngineEvent]:
        """Yields Metadata, then Segments in order of time, then Complete.

        Before each Segment a Spent may come; where early words are wanted (STT_PARTIALS), Partials
        come between them.

        `stopped` is asked often; once true the engine raises Cancelled. Raises EngineError.
        """
        ...
