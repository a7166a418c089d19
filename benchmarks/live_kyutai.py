"""Measures live sessions of the Kyutai engine: python -m benchmarks.live_kyutai --sessions 1 4 8

Sessions of noise in real time, in pieces of 80 ms that arrive at random moments, share a batcher.
The result is the time from the arrival of the last sample of a frame to the token that depends on
it; the delay that the model was trained with (0.5 or 2.5 s) must be added. A frame is dropped if it
has no token when the session ends. Results are written to
benchmarks/results/live-kyutai-<device>-<size>.json.
"""

from __future__ import annotations

import argparse
import random
import statistics
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from benchmarks.kyutai import RESULTS, checkpoint_of, device_name, write
from gpu.kyutai.batching import Batcher
from gpu.kyutai.checkpoint import Checkpoint
from gpu.kyutai.streams import LiveStream, Stream

WINDOW_S = 60.0
MAX_DELAY_S = 10.0  # for which the end of a session waits for its tokens


class TimedBatcher(Batcher):
    """Records when the tokens of live streams arrive."""

    def __init__(self, *arguments: Any) -> None:
        self.steps = 0
        self.arrivals: dict[Stream, list[float]] = {}
        super().__init__(*arguments)

    def _start_step(self, streams: Any) -> Any:
        self.steps += 1
        return super()._start_step(streams)

    def _deliver_token(self, stream: Stream, token: int) -> None:
        self.arrivals.setdefault(stream, []).append(time.perf_counter())
        super()._deliver_token(stream, token)  # last: it wakes the session, which reads the times


def main() -> None:
    """Prints a table and writes the JSON."""
    options = _options()
    checkpoint = checkpoint_of(options.size, options.checkpoint, options.device)
    print(f"{device_name(options.device)}; {checkpoint.name}")
    print(" sessions  steps/s  delay ms   p95  drops  CPU cores  device share")
    rows = []
    for count in options.sessions:
        row = _measure(checkpoint, count, options.seconds)
        rows.append(row)
        print(_line(row))
    write("live-kyutai", options, checkpoint, seconds=options.seconds, sessions=rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    model = parser.add_mutually_exclusive_group()
    model.add_argument("--size", choices=("tiny", "small", "2.6b"), default="small")
    model.add_argument("--checkpoint", help="a Hub id or folder with real weights")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each session")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder for the JSON")
    options = parser.parse_args()
    if options.checkpoint:
        options.size = Path(options.checkpoint).name
    return options


def _measure(checkpoint: Checkpoint, count: int, seconds: float) -> dict[str, Any]:
    batcher = TimedBatcher(checkpoint, WINDOW_S, count)
    delays: list[float] = []
    lost: list[int] = []
    jobs = [batcher.open() for _ in range(count)]

    def session(number: int) -> None:
        chance = random.Random(number)  # noqa: S311 - no secret
        time.sleep(chance.random() * checkpoint.timing.frame)
        stream = batcher.begin(jobs[number], 0.0)
        spoken = _speak(stream, checkpoint, seconds, number)
        before = checkpoint.silence_around[0]
        needed = [_position(checkpoint, before, sample) for sample, _ in spoken]
        until = time.perf_counter() + MAX_DELAY_S
        while stream.tokens <= needed[-1] and time.perf_counter() < until:
            stream.wait(0.1)
        arrivals = batcher.arrivals.get(stream, [])
        heard = [
            (arrivals[p], at)
            for p, (_, at) in zip(needed, spoken, strict=True)
            if p < len(arrivals)
        ]
        delays.extend(arrival - at for arrival, at in heard)
        lost.append(len(spoken) - len(heard))

    threads = [threading.Thread(target=session, args=(n,)) for n in range(count)]
    process = psutil.Process()
    cpu, started = sum(process.cpu_times()[:2]), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - started
    row = {
        "sessions": count,
        "steps_per_s": round(batcher.steps / elapsed, 1),
        "delay_ms": round(statistics.median(delays) * 1e3, 1),
        "delay_ms_p95": round(statistics.quantiles(delays, n=20)[-1] * 1e3, 1),
        "drops": sum(lost),
        "cpu_cores": round((sum(process.cpu_times()[:2]) - cpu) / elapsed, 2),
        "device_share": round(sum(job.device_seconds for job in jobs) / elapsed, 3),
    }
    batcher.close(drain=False)
    return row


def _speak(
    stream: LiveStream, checkpoint: Checkpoint, seconds: float, seed: int
) -> list[tuple[int, float]]:
    """Feeds noise in real time; returns how many samples had been fed at which times."""
    frame, noise = checkpoint.frame_samples, np.random.default_rng(seed)
    chance, fed, spoken = random.Random(seed), 0, []  # noqa: S311
    started = time.perf_counter()
    while fed < seconds * checkpoint.rate:
        fed += frame
        jitter = chance.random() * 0.02  # of the network
        time.sleep(max(0.0, started + fed / checkpoint.rate + jitter - time.perf_counter()))
        samples = noise.standard_normal(frame) * 0.1
        spoken.append((fed, time.perf_counter()))
        stream.feed(samples.astype(np.float32))
    return spoken


def _position(checkpoint: Checkpoint, before: int, samples: int) -> int:
    """The position of the first token that depends on the last whole frame of this many samples."""
    return (before + samples) // checkpoint.frame_samples


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['sessions']:9} {row['steps_per_s']:8.1f} {row['delay_ms']:9.0f} "
        f"{row['delay_ms_p95']:5.0f} {row['drops']:6} {row['cpu_cores']:10.2f} "
        f"{row['device_share']:13.0%}"
    )


if __name__ == "__main__":
    main()
