"""Measure live sessions: python -m benchmarks.live [--write] [--sessions 2] [--seconds 300] [--cpu]

or, in about a minute and without further speech: python -m benchmarks.live --sample

Each session gets the same recordings in a different order, in real time. The
delay of a word is the time from its end in the audio until the engine yields it: first as a
tentative word, then as a firm one. The same audio is also decoded as a file, by the same engine.

On a machine with other load, --cpu runs one session after another and counts CPU time instead of
elapsed time: this is what a session would take alone on a machine with cores of the same speed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import speech
from benchmarks.whisper import prepared
from gpu import config, pcm
from gpu.engine import get_engine
from gpu.tests.wer import NORMALIZER, word_errors
from gpu.types import (
    Engine,
    LiveAudio,
    Partial,
    Segment,
    TurnEnded,
    Word,
)
from gpu.whisper import live

if TYPE_CHECKING:
    from gpu.types import Samples

RESULTS = Path(__file__).parent / "results" / "live.json"
CHUNK_S = 0.1
STAGGER_S = 0.37  # between the starts of two sessions, so that they do not decode at the same time
GOALS = {
    "firm_median_s": 2.0,
    "firm_p95_s": 4.0,
    "wer_to_file_points": 1.0,
    "cpu_share": 0.33,
    "dropped_samples": 0,
}


def main() -> None:
    """Print a table; with --write, write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    parser.add_argument("--sessions", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=300.0, help="of each session")
    parser.add_argument("--sample", action="store_true", help="all hear the sample recording only")
    parser.add_argument("--cpu", action="store_true", help="count CPU time")
    arguments = parser.parse_args()
    engine = get_engine("whisper")
    recordings = list(_recordings(arguments))
    files = [_text_as_file(engine, recording) for recording in recordings]
    if arguments.cpu:
        live.monotonic = time.process_time  # type: ignore[attr-defined]  # paces the decoding
    clock = time.process_time if arguments.cpu else time.monotonic
    sessions = [Session(recording, clock) for recording in recordings]
    result = _measure(engine, sessions, files)
    print(json.dumps(result, indent=2))
    for name, goal in GOALS.items():
        print(f"{name:20} {result[name]:6} goal {goal:4}{' missed' * (result[name] > goal)}")
    if arguments.write:
        RESULTS.write_text(json.dumps(result, indent=2) + "\n")


def _recordings(arguments: argparse.Namespace) -> Iterator[speech.Speech]:
    for number in range(arguments.sessions):
        if arguments.sample:
            yield speech.sample()
        else:
            yield speech.long_recording(arguments.seconds, skipped=number / arguments.sessions)


@dataclass
class Session:
    """One session in real time, and its results. Delays are in seconds."""

    recording: speech.Speech
    clock: Callable[[], float]
    tentative: list[float] = field(default_factory=list)
    firm: list[float] = field(default_factory=list)
    turns: list[float] = field(default_factory=list)  # from the end of a turn to its TurnEnded
    texts: list[str] = field(default_factory=list)
    audio_waiting_s: float = 0.0  # the most audio that had to wait for the engine
    taken: int = 0  # samples
    _begun: float = 0.0  # by the clock
    _complete: int = 0  # words in segments

    def run(self, engine: Engine) -> None:
        """Listen until the recording ends."""
        self._begun = self.clock()
        for event in engine.live(LiveAudio(self._chunks()), lambda: False):
            if isinstance(event, Partial):
                self._note(event.words, event.tentative)
            elif isinstance(event, Segment):
                self._note(event.words, 0)
                self._complete += len(event.words)
                self.texts.append(event.text)
            elif isinstance(event, TurnEnded):
                self.turns.append(self._now - event.end)

    @property
    def _now(self) -> float:
        return self.clock() - self._begun

    def _wait_until(self, due: float) -> None:
        if self.clock is time.process_time:
            self._begun = min(self._begun, self.clock() - due)
        else:
            time.sleep(max(0.0, due - self._now))

    def _chunks(self) -> Iterator[Samples]:
        samples = self.recording.samples.astype(np.float32) / np.float32(32768)
        while self.taken < len(samples):
            due = self.taken / pcm.SAMPLE_RATE_HZ + CHUNK_S
            self._wait_until(due)
            self.audio_waiting_s = max(self.audio_waiting_s, self._now - due)
            first, self.taken = self.taken, min(len(samples), round(self._now * pcm.SAMPLE_RATE_HZ))
            yield samples[first : self.taken]

    def _note(self, words: tuple[Word, ...], tentative: int) -> None:
        now, firm = self._now, words[: len(words) - tentative]
        for delays, shown in ((self.tentative, words), (self.firm, firm)):
            new = shown[max(0, len(delays) - self._complete) :]
            delays += [now - word.end for word in new]


def _text_as_file(engine: Engine, recording: speech.Speech) -> str:
    with tempfile.TemporaryDirectory(prefix="transcodio-benchmark-") as folder:
        events = engine.stream(prepared(recording, Path(folder)), lambda: False)
        return " ".join(event.text for event in events if isinstance(event, Segment))


def _measure(engine: Engine, sessions: list[Session], files: list[str]) -> dict[str, Any]:
    counts_cpu = sessions[0].clock is time.process_time
    load, cpu, begun = os.getloadavg()[0], time.process_time(), time.monotonic()
    threads = [threading.Thread(target=session.run, args=(engine,)) for session in sessions]
    for thread in threads:
        thread.start()
        if counts_cpu:
            thread.join()
        time.sleep(STAGGER_S)
    for thread in threads:
        thread.join()
    seconds = sum(session.recording.seconds for session in sessions)
    return {
        "device": f"{platform.machine()} CPU, {os.cpu_count()} cores",
        "load_before": round(load, 1),
        "load_during": round(os.getloadavg()[1], 1),
        "model": f"whisper-{config.WHISPER_MODEL}",
        "sessions": len(sessions),
        "clock": "CPU time, one session after the other" if counts_cpu else "natural speed",
        "audio_s": round(seconds, 1),
        "wall_s": round(time.monotonic() - begun, 1),
        "cpu_share": round((time.process_time() - cpu) / seconds, 3),
        **_delays(sessions),
        "audio_waiting_max_s": round(max(session.audio_waiting_s for session in sessions), 2),
        "dropped_samples": sum(len(s.recording.samples) - s.taken for s in sessions),
        "normalizer": NORMALIZER,
        **_errors(sessions, files),
        "goals": GOALS,
    }


def _delays(sessions: list[Session]) -> dict[str, float]:
    found = {}
    for name in ("tentative", "firm", "turns"):
        delays = [delay for session in sessions for delay in getattr(session, name)]
        median, high, highest = np.percentile(delays, [50, 95, 100])
        found[f"{name}_median_s"] = round(float(median), 2)
        found[f"{name}_p95_s"] = round(float(high), 2)
        found[f"{name}_max_s"] = round(float(highest), 2)
    return found


def _errors(sessions: list[Session], files: list[str]) -> dict[str, float]:
    """Word errors in percent of the reference's words, and of those of the file."""
    reference = " ".join(session.recording.text for session in sessions)
    live, file = " ".join(text for s in sessions for text in s.texts), " ".join(files)
    live_rate, file_rate = (100 * word_errors(reference, text).rate for text in (live, file))
    return {
        "wer_percent": round(live_rate, 2),
        "wer_of_file_percent": round(file_rate, 2),
        "wer_to_file_points": round(live_rate - file_rate, 2),
        "difference_from_file_percent": round(100 * word_errors(file, live).rate, 2),
    }


if __name__ == "__main__":
    main()
