"""What all engines share: audio in, words with times out, and the errors in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    Samples = np.ndarray[tuple[int], np.dtype[np.float32]]


class EngineError(Exception):
    """The engine could not do its work.

    `code` is for programs, `user_message` for the person who uploaded the recording; the text of
    the exception itself is for the operator's log.
    """

    code = "engine_failed"
    user_message = "The recording could not be transcribed. Try again."


class EngineUnavailable(EngineError):
    """The engine cannot be used at the moment: no weights, no account, no connection."""

    code = "engine_unavailable"
    user_message = "Speech recognition is currently unavailable. Try again later."


class NotDeployed(EngineUnavailable):
    """Modal has no such app."""

    code = "engine_not_deployed"


class NotAuthenticated(EngineUnavailable):
    """Modal does not accept the token, or there is none."""

    code = "engine_not_authenticated"


class Unreachable(EngineUnavailable):
    """The connection to Modal failed or was lost."""

    code = "engine_unreachable"


class CircuitOpen(Unreachable):
    """Modal was not called, because the last calls failed. See `gpu.modal.connectivity`."""


class DeviceLost(EngineUnavailable):
    """The GPU failed while it was decoding. The recording can be tried again."""

    code = "device_lost"


class DeviceUnrecoverable(DeviceLost):
    """The GPU failed and this process cannot use it again: a new process has to be started."""


class OutOfMemory(EngineError):
    """The GPU does not have enough free memory."""

    code = "out_of_memory"
    user_message = "Speech recognition is overloaded. Try again in a few minutes."


class BadAudio(EngineError):
    """The engine cannot decode the audio that it was given."""

    code = "bad_audio"
    user_message = "The audio could not be read. Upload the recording again."


class UnsupportedLanguage(EngineError):
    """The engine does not support the requested language."""

    code = "unsupported_language"
    user_message = "The speech engine does not support this language. Choose another one."


class UnsupportedTask(EngineError):
    """The engine cannot translate."""

    code = "unsupported_task"
    user_message = "The speech engine cannot translate. Transcribe the recording instead."


class DeadlineExceeded(EngineError):
    """The transcription took longer than allowed."""

    code = "timed_out"
    user_message = "The transcription took too long and was stopped. Try again."


class Cancelled(EngineError):
    """The caller asked to stop."""

    code = "cancelled"
    user_message = "The transcription was cancelled."


ERROR_TYPES = (
    EngineUnavailable,
    NotDeployed,
    NotAuthenticated,
    Unreachable,
    DeviceLost,
    OutOfMemory,
    BadAudio,
    UnsupportedLanguage,
    UnsupportedTask,
    DeadlineExceeded,
    Cancelled,
)


def error_from_message(message: dict[str, Any]) -> EngineError:
    """The error that another machine has reported, by its `code` and `reason`."""
    types = {error_type.code: error_type for error_type in ERROR_TYPES}
    error_type = types.get(message.get("code", ""), EngineError)
    return error_type(message.get("reason") or message)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of speech, in seconds from the start of the recording."""

    start: float
    end: float
    channel: int | None = None  # from 0; None: all channels together


@dataclass(frozen=True, slots=True)
class RecognitionOptions:
    """Options of recognition. An engine ignores those that it does not support, except for
    `translate`: then it raises UnsupportedTask."""

    prompt: str = ""  # text that might come before the recording: its style, names and terms
    keywords: tuple[str, ...] = ()  # names and terms that may be spoken, as they are spelled
    translate: bool = False  # into English
    languages: tuple[str, ...] = ()  # the only ones that may be detected; empty: all


@dataclass(frozen=True, slots=True)
class Audio:
    """A recording prepared for an engine: a mono 24 kHz 16-bit WAV file, and its speech spans."""

    path: Path
    duration: float  # seconds
    spans: tuple[Span, ...]
    language: str | None = None  # a code such as `en`; None: the engine detects it
    options: RecognitionOptions = RecognitionOptions()

    def excludes(self, language: str) -> bool:
        """Whether only other languages were requested."""
        requested = (self.language,) if self.language else self.options.languages
        return bool(requested) and language not in requested

    def after(self, position: float) -> Audio:
        """The same recording without the speech before `position` (seconds)."""
        spans = tuple(
            replace(s, start=max(s.start, position)) for s in self.spans if s.end > position
        )
        return replace(self, spans=spans)


@dataclass(frozen=True, slots=True)
class Commit:
    """Between the chunks of live audio: what was said until here is complete, whether or not a
    pause follows. The engine answers with TurnEnded, which has the same `number`."""

    number: int


@dataclass(frozen=True, slots=True)
class LiveAudio:
    """Speech while it is spoken.

    `chunks` are float32 samples of one channel in -1..1 at 24 kHz, of any length, in order and
    without gaps, as they arrive. Iterating waits a short time for the next chunk; an empty chunk
    means that none has arrived, so that the engine can do what is due meanwhile. The end of the
    iteration is the end of the audio. Audio that arrives while the engine is busy is part of the
    next chunk.
    """

    chunks: Iterator[Samples | Commit]
    start: float = 0.0  # seconds: where the first sample is in the recording
    language: str | None = None  # a code such as `en`; None: the engine detects it
    options: RecognitionOptions = RecognitionOptions()
    # Seconds of silence that end a turn. None: only a Commit ends one.
    turn_silence_s: float | None = 0.6


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """Someone began to speak at `start` (seconds)."""

    start: float


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """A turn ended at `end` (seconds): the segments before this event contain all of its words.

    `commit` is the number of the Commit that ended it; None: silence did.
    """

    end: float
    commit: int | None = None


@dataclass(frozen=True, slots=True)
class Word:
    """One word with its times in seconds; `text` has no space around it.

    With `no_space_before` it follows the word before it without a space, as in Chinese.
    `probability` (0 to 1) is the engine's; None if it has none. `channel` (from 0) is that of the
    recording in which it was spoken, if channels are recognized separately. `speaker` (from 1) is
    known if speakers are detected; with `overlap`, someone else speaks at the same time.
    """

    start: float
    end: float
    text: str
    no_space_before: bool = False
    probability: float | None = None
    channel: int | None = None
    speaker: int | None = None
    overlap: bool = False


def _join_words(words: tuple[Word, ...]) -> str:
    return "".join(w.text if w.no_space_before else f" {w.text}" for w in words).strip()


@dataclass(frozen=True, slots=True)
class Decoding:
    """What the decoder knows about the text of a segment, as Whisper defines it."""

    avg_logprob: float  # mean log probability of the tokens
    no_speech_prob: float
    compression_ratio: float  # of the text: high if it repeats itself
    temperature: float = 0.0
    tokens: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Segment:
    """About one sentence, in one language and from one channel. Its times are those of its
    words."""

    words: tuple[Word, ...]
    language: str = ""  # empty: that of the metadata
    decoding: Decoding | None = None  # None: the engine does not know

    @property
    def channel(self) -> int | None:
        """The channel of the recording, from 0; None unless channels are recognized separately."""
        return self.words[0].channel

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
        """The words, separated by spaces where the language has them."""
        return _join_words(self.words)


@dataclass(frozen=True, slots=True)
class Partial:
    """The words so far of an incomplete segment; each Partial replaces the one before.

    The last `tentative` words may still change. The others may not: the segment begins with them.
    """

    words: tuple[Word, ...]
    tentative: int = 0

    @property
    def text(self) -> str:
        """The words, separated by spaces where the language has them."""
        return _join_words(self.words)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the engine knows before the first word."""

    language: str
    model: str


@dataclass(frozen=True, slots=True)
class Complete:
    """The usage of a whole recording, in seconds.

    `audio_seconds` is the decoded audio and `decode_seconds` this recording's share of the time
    that the device took to decode it; `queue_seconds` is how long it waited for a free row,
    `load_seconds` for a machine to start.
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

    def __add__(self, other: Complete) -> Complete:
        return Complete(
            self.audio_seconds + other.audio_seconds,
            self.decode_seconds + other.decode_seconds,
            self.queue_seconds + other.queue_seconds,
            self.load_seconds + other.load_seconds,
            other.gpu or self.gpu,
        )


@dataclass(frozen=True, slots=True)
class UsageDelta:
    """The usage since the last UsageDelta, in seconds as in Complete.

    It is yielded before the segment that it led to, so that a caller who stops before Complete
    knows what was used until then.
    """

    decode_seconds: float
    gpu: str = ""  # its type, if it is paid by the second
    queue_seconds: float = 0.0
    load_seconds: float = 0.0

    def __add__(self, other: UsageDelta) -> UsageDelta:
        return UsageDelta(
            self.decode_seconds + other.decode_seconds,
            other.gpu or self.gpu,
            self.queue_seconds + other.queue_seconds,
            self.load_seconds + other.load_seconds,
        )

    def __sub__(self, earlier: UsageDelta) -> UsageDelta:
        return UsageDelta(
            self.decode_seconds - earlier.decode_seconds,
            self.gpu,
            self.queue_seconds - earlier.queue_seconds,
            self.load_seconds - earlier.load_seconds,
        )

    def __bool__(self) -> bool:
        return any((self.decode_seconds, self.queue_seconds, self.load_seconds))


EngineEvent = Metadata | Partial | Segment | UsageDelta | Complete
LiveEvent = EngineEvent | TurnStarted | TurnEnded


class Engine(Protocol):
    """Turns audio into words. One instance serves all threads of a process."""

    name: str

    def stream(self, audio: Audio, stopped: Callable[[], bool]) -> Iterator[EngineEvent]:
        """Yields Metadata, then Segments in order of time, then Complete.

        A UsageDelta may come before each Segment; with STT_PARTIALS, Partials come between them.

        `stopped` is called often; once it returns true, the engine raises Cancelled. Raises
        EngineError.
        """
        ...

    def live(self, audio: LiveAudio, stopped: Callable[[], bool]) -> Iterator[LiveEvent]:
        """Yields Metadata, then words as they are spoken, then Complete after the last chunk.

        Words come in Partials, first tentative, then firm, and finally in Segments, in order of
        time. The words of each turn are between a TurnStarted and a TurnEnded; a Commit that finds
        no turn to end gets only a TurnEnded. A UsageDelta may come before each Segment.

        `stopped` is called often; once it returns true, the engine raises Cancelled. Closing the
        iterator ends the session. Raises EngineError.
        """
        ...
