"""A live session of Kyutai STT: decides what is decoded, and puts words and turns in order.

Only speech is decoded, in streams that begin a little before it and end in the pause after it, each
from a fresh state. So hours of speech need no more memory than minutes, and silence costs nothing.
At the end of a stream its last words come immediately, without the delay of the model.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gpu.kyutai.jobs import POLL_INTERVAL_S
from gpu.kyutai.speech_gate import BLOCK_SAMPLES, SpeechGate
from gpu.pcm import SAMPLE_RATE_HZ
from gpu.segments import SEGMENT_PAUSE_S, SegmentBuilder
from gpu.types import (
    Cancelled,
    Commit,
    LiveAudio,
    Partial,
    Segment,
    TurnEnded,
    TurnStarted,
    UsageDelta,
    Word,
)
from gpu.words import in_order

if TYPE_CHECKING:
    from gpu.kyutai.batching import Batcher
    from gpu.kyutai.streams import LiveStream
    from gpu.types import Samples

BLOCK_S = BLOCK_SAMPLES / SAMPLE_RATE_HZ
ONSET_BLOCKS = 2  # consecutive blocks of speech that begin a turn: a click is shorter
LEAD_BLOCKS = 12  # blocks before them that are decoded too: speech begins quietly
MAX_BACKLOG_S = 10.0  # of audio that waits to be decoded, before more is taken

Event = Partial | Segment | TurnStarted | TurnEnded


class LiveSession:
    """One session in a batcher. It belongs to one thread."""

    def __init__(self, batcher: Batcher, audio: LiveAudio) -> None:
        self.audio_seconds = 0.0  # decoded
        self._batcher, self._audio = batcher, audio
        self._job = batcher.open()
        self._gate = SpeechGate()
        self._stream: LiveStream | None = None
        self._heard_samples = 0
        self._rest: Samples = np.zeros(0, np.float32)  # less than a block
        self._lead: deque[Samples] = deque(maxlen=LEAD_BLOCKS)  # heard before speech
        self._speech_blocks = 0  # in a row
        self._speech_end = audio.start  # seconds
        self._is_turn_open = False
        # The next events, in order. A stream is a placeholder for its words.
        self._pending: deque[LiveStream | TurnStarted | TurnEnded] = deque()
        self._segments = SegmentBuilder()
        self._last_end = audio.start  # of the words, in seconds
        self._shown: list[Word] = []  # tentative words of the last Partial

    @property
    def usage(self) -> UsageDelta:
        """The usage so far."""
        return UsageDelta(self._job.device_seconds, queue_seconds=self._job.queue_seconds or 0.0)

    def events(self, stopped: Callable[[], bool]) -> Generator[Event, None, None]:
        """Turns, and the words in them. Raises EngineError; Cancelled once `stopped()` is true."""
        try:
            for chunk in self._audio.chunks:
                if isinstance(chunk, Commit):
                    self._end_turn(chunk.number)
                else:
                    self._hear(chunk)
                yield from self._due(stopped)
                while sum(stream.backlog for stream in self._streams()) > MAX_BACKLOG_S:
                    self._wait()
                    yield from self._due(stopped)
            self._end_turn()
            while self._pending:
                self._wait()
                yield from self._due(stopped)
            self._job.close()
        finally:
            self._job.cancel()

    # --- Audio ----------------------------------------------------------------------------------

    @property
    def _position(self) -> float:
        """Seconds: the end of the audio so far."""
        return round(self._audio.start + self._heard_samples / SAMPLE_RATE_HZ, 3)

    def _hear(self, samples: Samples) -> None:
        samples = np.concatenate((self._rest, samples))
        whole = len(samples) // BLOCK_SAMPLES * BLOCK_SAMPLES
        for start in range(0, whole, BLOCK_SAMPLES):
            self._hear_block(samples[start : start + BLOCK_SAMPLES])
        self._rest = samples[whole:]

    def _hear_block(self, block: Samples) -> None:
        is_speech = self._gate.is_speech(block)
        self._heard_samples += BLOCK_SAMPLES
        self._speech_blocks = self._speech_blocks + 1 if is_speech else 0
        if self._stream:
            self._feed(block)
        else:
            self._lead.append(block)
        if self._speech_blocks and self._stream:
            self._speech_end = self._position
        elif self._speech_blocks >= ONSET_BLOCKS:
            self._begin_stream()
        else:
            self._pause(self._position - self._speech_end)

    def _begin_stream(self) -> None:
        start = round(self._position - len(self._lead) * BLOCK_S, 3)
        if not self._is_turn_open:
            self._is_turn_open = True
            self._pending.append(
                TurnStarted(round(self._position - self._speech_blocks * BLOCK_S, 3))
            )
        self._stream = self._batcher.begin(self._job, start)
        self._pending.append(self._stream)
        self._feed(np.concatenate(self._lead))
        self._lead.clear()
        self._speech_end = self._position

    def _feed(self, samples: Samples) -> None:
        assert self._stream is not None  # noqa: S101 - the callers have checked it
        self._stream.feed(samples)
        self.audio_seconds += len(samples) / SAMPLE_RATE_HZ

    def _pause(self, seconds: float) -> None:
        """Do what is due after a pause of this length."""
        limit = self._audio.turn_silence_s
        ends_turn = limit is not None and seconds >= limit
        if self._stream and (ends_turn or seconds >= SEGMENT_PAUSE_S):
            self._end_stream()
        if ends_turn and self._is_turn_open:
            self._is_turn_open = False
            self._pending.append(TurnEnded(self._speech_end))

    def _end_stream(self) -> None:
        if self._stream:
            self._stream.close(self._position)
            self._stream = None

    def _end_turn(self, commit: int | None = None) -> None:
        """End the current turn, if any, at the last sample; with a Commit, report its end in any
        case."""
        if self._stream:
            self._feed(self._rest)
        self._heard_samples += len(self._rest)
        self._rest = self._rest[:0]
        self._end_stream()
        if self._is_turn_open or commit is not None:
            self._pending.append(TurnEnded(self._position, commit))
        self._is_turn_open = False
        self._speech_blocks = 0
        self._lead.clear()

    def _streams(self) -> Iterator[LiveStream]:
        """The streams whose words are not complete."""
        for entry in self._pending:
            if not isinstance(entry, TurnStarted | TurnEnded):
                yield entry

    def _wait(self) -> None:
        """Wait until something may be due."""
        for stream in self._streams():
            stream.wait(POLL_INTERVAL_S)
            return

    # --- Words ----------------------------------------------------------------------------------

    def _due(self, stopped: Callable[[], bool]) -> Iterator[Event]:
        """The events that have become known."""
        if stopped():
            raise Cancelled("the caller asked to stop")
        if self._job.error:
            raise self._job.error
        while self._pending:
            entry = self._pending[0]
            if isinstance(entry, TurnStarted):
                yield entry
            elif isinstance(entry, TurnEnded):
                yield replace(entry, end=max(entry.end, self._last_end))
            else:
                words, pending, is_finished = entry.take()
                yield from self._add_words(words, entry.end)
                if not is_finished:
                    yield from self._show(pending)
                    return
                yield from self._segments.finish()
            self._pending.popleft()

    def _add_words(self, words: list[Word], end: float) -> Iterator[Event]:
        """`end` is that of the stream, in seconds."""
        clipped = (replace(word, end=max(word.start, min(word.end, end))) for word in words)
        for word in in_order(clipped, self._last_end):
            self._last_end = word.end
            yield from self._segments.push(word)
            self._shown = []
            yield Partial(tuple(self._segments.words))

    def _show(self, pending: list[Word]) -> Iterator[Event]:
        """The words after the last one, to which more may be added."""
        if pending and pending != self._shown:
            self._shown = pending
            words = (*self._segments.words, *in_order(pending, self._last_end))
            yield Partial(words, tentative=len(pending))
