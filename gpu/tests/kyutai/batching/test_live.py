"""Live speech on the rows of a batcher: its words are those of the same audio as one window."""

from __future__ import annotations

import random
import threading
from collections import deque
from typing import Any

import numpy as np
import pytest
import torch

from gpu.kyutai.batching import Batcher
from gpu.kyutai.checkpoint import Checkpoint
from gpu.kyutai.ring_decoder import RingDecoder
from gpu.kyutai.streams import LiveStream
from gpu.tests import tiny
from gpu.tests.kyutai.batching.conftest import (
    LONGEST_S,
    MakeBatcher,
    MakeGate,
    decode_alone,
    window,
    windows,
)
from gpu.types import Cancelled, EngineError, EngineUnavailable, Word
from gpu.windows import Window
from transcodio_site.testing import WAIT_S, wait_until


def move_codec(checkpoint: Checkpoint, device: str | torch.device) -> None:
    checkpoint.model.codec_model.to(device)
    for module in checkpoint.model.codec_model.modules():
        if hasattr(module, "_embed"):
            module._embed = None


@pytest.fixture(scope="module", name="checkpoint")
def checkpoint_with_exact_codec(checkpoint: Checkpoint) -> Checkpoint:
    """Convolutions on a GPU round differently with each length, which moves a few codes."""
    move_codec(checkpoint, "cpu")
    return checkpoint


def words_of(stream: LiveStream) -> list[Word]:
    """All words of a stream that was closed."""
    words: list[Word] = []
    while True:
        new, _, is_finished = stream.take()
        words += new
        if is_finished:
            return words
        stream.wait(WAIT_S)


def chunks_of(samples: Any, chance: random.Random) -> list[Any]:
    """The samples in pieces of 1 ms to 1 s."""
    pieces, start = [], 0
    while start < len(samples):
        length = chance.choice((24, 480, 1920, 3000, 24_000))
        pieces.append(samples[start : start + length])
        start += length
    return pieces


def speak(shared: Batcher, said: Window, chance: random.Random, words: list[Word]) -> None:
    """A session with one stretch of speech, in pieces. Each piece may have to be decoded before the
    next one is sent."""
    job = shared.open()
    stream = shared.begin(job, said.start)
    samples = said.read()
    for chunk in chunks_of(samples, chance):
        stream.feed(chunk)
        if chance.random() < 0.3:
            wait_until(lambda: stream.frames_to_encode(10) <= 0 and not stream.can_step)
    stream.close(said.start + len(samples) / 24_000)
    words += words_of(stream)
    job.close()


@pytest.mark.slow
def test_random_chunks_joins_and_leaves_give_the_words_of_whole_windows(
    checkpoint: Checkpoint, batcher: MakeBatcher
) -> None:
    chance = random.Random(1)
    shared = batcher(rows=4)
    said = [window(chance.uniform(0.1, 7), 50 + n, start=30.0 * n) for n in range(12)]
    plans = [windows(2, seconds=1 + n, seed=10 * n) for n in range(3)]
    results: list[list[Word]] = [[] for _ in said]

    def take_turns(first: int) -> None:
        for n in range(first, len(said), 4):
            speak(shared, said[n], random.Random(n), results[n])

    threads = [threading.Thread(target=take_turns, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for plan in plans:
        expected = [word for one in plan for word in decode_alone(checkpoint, one)]
        assert list(shared.submit(plan).words()) == expected
    for thread in threads:
        thread.join(WAIT_S)
    assert results == [decode_alone(checkpoint, one) for one in said]
    assert sum(map(len, results)) > 30


def test_speech_longer_than_a_row_is_decoded_as_a_whole(
    checkpoint: Checkpoint, batcher: MakeBatcher
) -> None:
    """The codes of a row are a ring."""
    samples = window(4 * LONGEST_S, seed=8).read()
    frames = checkpoint.frames(4 * LONGEST_S)
    assert frames > 2 * checkpoint.frames(LONGEST_S)
    decoder = RingDecoder(checkpoint, 1, frames)
    decoder.join(0, checkpoint.encode(samples))
    expected = [int(decoder.step()[0]) for _ in range(frames)]
    shared = batcher(rows=2)
    tokens: list[int] = []
    stream = shared.begin(shared.open(), 0.0)
    deliver = shared._deliver_token

    def note(decoded: Any, token: int) -> None:
        tokens.append(token)
        deliver(decoded, token)

    shared._deliver_token = note  # type: ignore[method-assign,assignment]
    for chunk in chunks_of(samples, random.Random(2)):
        stream.feed(chunk)
    stream.close(4 * LONGEST_S)
    words_of(stream)
    assert tokens == expected


class SteppedEarly(RingDecoder):
    """Parked rows advance, too."""

    def activate_only(self, rows: Any) -> None:
        super().activate_only(range(self.rows))


class OldFrames(RingDecoder):
    """New frames overwrite those that have not been decoded yet."""

    def feed(self, row: int, first: int, codes: torch.Tensor) -> None:
        super().feed(row, max(0, first - 1), codes)


@pytest.mark.parametrize("kind", [RingDecoder, SteppedEarly, OldFrames])
def test_parked_row_goes_on_where_it_was_after_others_have_been_decoded(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, kind: type[RingDecoder]
) -> None:
    """The comparison also notices mistakes."""
    monkeypatch.setattr("gpu.kyutai.batching.RingDecoder", kind)
    shared = Batcher(checkpoint, LONGEST_S, 2)
    said = window(3.0, seed=50)
    stream = shared.begin(shared.open(), 0.0)
    for samples in np.split(said.read(), (30_000, 50_000)):
        stream.feed(samples)
        wait_until(lambda: stream.frames_to_encode(99) <= 0 and not stream.can_step)
        assert list(shared.submit(windows(1)).words())
    stream.close(3.0)
    words = words_of(stream)
    shared.close(drain=False)
    assert (words == decode_alone(checkpoint, said)) == (kind is RingDecoder)


def test_newest_frame_is_decoded_before_the_next_one_comes(
    checkpoint: Checkpoint, batcher: MakeBatcher
) -> None:
    shared = batcher(rows=2)
    stream = shared.begin(shared.open(), 0.0)
    before = checkpoint.silence_around[0]
    stream.feed(np.zeros(1920 * 20 - before, np.float32))
    wait_until(lambda: stream.tokens == 21)  # the first one needs no frame
    assert not stream.can_step


def test_parked_row_costs_no_step_and_no_device_time(batcher: MakeBatcher) -> None:
    shared = batcher(rows=4)
    job = shared.open()
    stream = shared.begin(job, 0.0)
    stream.feed(np.zeros(24_000, np.float32))
    wait_until(lambda: stream.tokens > 10 and not stream.can_step and not stream.encoded)
    wait_until(lambda: not shared._clock._users)
    used, steps = job.device_seconds, stream.steps
    assert used > 0
    assert list(shared.submit(windows(2)).words())
    assert (job.device_seconds, stream.steps) == (used, steps)


def test_row_is_kept_for_a_silent_session(batcher: MakeBatcher, gate: MakeGate) -> None:
    shared = batcher(rows=4)
    job = shared.open()
    held = gate(shared)
    recordings = [shared.submit(windows(9, seconds=LONGEST_S, seed=20 * n)) for n in range(6)]
    held.close()
    wait_until(lambda: len(shared._encoded) >= 2)  # a fast decoder would not wait for them
    held.open(until=lambda: shared._streams.count(None) == 1)
    held.wait_until_held()
    wait_until(lambda: len(shared._encoded) >= 1)
    assert shared._streams.count(None) == 1
    stream = shared.begin(job, 0.0)
    held.open(until=lambda: stream.row is not None)
    held.wait_until_held()
    assert None not in shared._streams
    for recording in recordings:
        recording.cancel()


def test_session_without_a_free_row_waits_for_the_next_one(
    checkpoint: Checkpoint, batcher: MakeBatcher
) -> None:
    shared = batcher(rows=1)
    said = [window(1.0, seed=n) for n in range(3)]
    streams = []
    for one in said:
        streams.append(shared.begin(shared.open(), 0.0))
        streams[-1].feed(one.read())
    assert [stream.row for stream in streams[1:]] == [None, None]
    for stream, one in zip(streams, said, strict=True):
        stream.close(1.0)
        assert words_of(stream) == decode_alone(checkpoint, one)
    assert streams[2].job.queue_seconds


def test_cancelled_session_frees_its_row(batcher: MakeBatcher) -> None:
    shared = batcher(rows=1)
    job = shared.open()
    stream = shared.begin(job, 0.0)
    stream.feed(np.zeros(24_000, np.float32))
    wait_until(lambda: stream.row is not None)
    job.cancel()
    with pytest.raises(Cancelled):
        stream.take()
    assert list(shared.submit(windows(1)).words())
    assert (job.rows, shared._live.streams) == (0, [])


def test_close_ends_sessions_and_finishes_recordings(batcher: MakeBatcher) -> None:
    shared = batcher(rows=2)
    stream = shared.begin(shared.open(), 0.0)
    recording = shared.submit(windows(2))
    shared.close()
    with pytest.raises(EngineUnavailable, match="shutting down"):
        stream.take()
    assert list(recording.words())
    assert not any(thread.is_alive() for thread in shared._threads)
    with pytest.raises(EngineUnavailable, match="shutting down"):
        shared.open()


def test_failed_encoding_ends_only_its_session(
    checkpoint: Checkpoint, batcher: MakeBatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = batcher(rows=3)
    encode = shared._live._encode
    bad, good = (shared.begin(shared.open(), 0.0) for _ in range(2))
    monkeypatch.setattr(
        shared._live,
        "_encode",
        lambda stream, samples: 1 / 0 if stream is bad else encode(stream, samples),
    )
    bad.feed(np.zeros(24_000, np.float32))
    wait_until(lambda: bad.job.is_over)
    with pytest.raises(EngineError, match="could not be encoded: ZeroDivisionError"):
        bad.take()
    good.feed(window(1.0, seed=4).read())
    good.close(1.0)
    assert words_of(good) == decode_alone(checkpoint, window(1.0, seed=4))


def test_decoder_failure_ends_sessions(
    batcher: MakeBatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = batcher(rows=2)
    stream = shared.begin(shared.open(), 0.0)
    wait_until(lambda: stream.tokens > 0)
    monkeypatch.setattr(shared._decoder, "step", lambda: 1 / 0)
    stream.feed(np.zeros(24_000, np.float32))
    wait_until(lambda: stream.job.is_over)
    with pytest.raises(EngineError, match="the decoder failed"):
        stream.take()


def test_sessions_far_behind_do_not_keep_others_waiting(batcher: MakeBatcher) -> None:
    """They are encoded in turns."""
    shared = batcher(rows=2)
    turns: deque[LiveStream] = deque()
    encode = shared._live._encode

    def note(stream: LiveStream, samples: Any) -> torch.Tensor:
        turns.append(stream)
        return encode(stream, samples)

    shared._live._encode = note  # type: ignore[method-assign]
    with shared._changed:
        behind, current = (shared.begin(shared.open(), 0.0) for _ in range(2))
        behind.feed(np.zeros(24_000 * 7, np.float32))
        current.feed(np.zeros(24_000 * 3, np.float32))
    wait_until(lambda: turns.count(current) >= 2 and turns.count(behind) >= 2)
    assert [*turns][:4] in ([behind, current] * 2, [current, behind] * 2)


def test_codec_may_be_on_the_device_of_the_decoder(checkpoint: Checkpoint) -> None:
    move_codec(checkpoint, checkpoint.device)
    shared = Batcher(checkpoint, LONGEST_S, 4)
    said = [window(2.0 + n, seed=n) for n in range(4)]
    results: list[list[Word]] = [[] for _ in said]
    threads = [
        threading.Thread(target=speak, args=(shared, one, random.Random(n), results[n]))
        for n, one in enumerate(said)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    shared.close()
    move_codec(checkpoint, "cpu")
    assert all(results)
    if checkpoint.device.type == "cpu":
        assert results == [decode_alone(checkpoint, one) for one in said]


def test_prefix_and_delay_are_those_of_the_checkpoint(batcher: MakeBatcher) -> None:
    """Values of stt-1b-en_fr: half a second of delay, and no silence before the audio."""
    fast = Checkpoint(tiny.model(), tiny.processor(delay=0.5, prefix=0.0), "stt-1b-en_fr-trfs")
    shared = Batcher(fast, LONGEST_S, 2)
    said, words = window(2.0, seed=3), list[Word]()
    speak(shared, said, random.Random(3), words)
    shared.close()
    assert words == decode_alone(fast, said)
    assert words
