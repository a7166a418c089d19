"""Breaks a running service: python -m benchmarks.chaos --minutes 60 --seed 7

Without --minutes every fault is injected once. Results are written to
benchmarks/results/chaos.json when --write is given.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.chaos.faults import FAULTS, FULL_DISK, Fault
from benchmarks.chaos.rounds import Outcome, disturbed, undisturbed
from benchmarks.chaos.site import ChaosStack, Site
from transcodio_site.testing import SAMPLE, Media

RESULTS = Path(__file__).parent.parent / "results" / "chaos.json"
LOG = Path(tempfile.gettempdir()) / "transcodio-chaos.log"
FORMATS = ("ogg", "mp3", "flac", "m4a", "wav", "webm")
STALL_GOAL_S = 15.0


def main() -> int:
    """Run rounds. The exit status is 1 if anything was lost."""
    arguments = parse_arguments()
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(10**6)
    say(f"Seed {seed}")
    rng = random.Random(seed)  # noqa: S311
    with tempfile.TemporaryDirectory(prefix="transcodio-chaos-") as folder, running(folder) as site:
        recordings = make_recordings(Media(Path(folder)), arguments.jobs, arguments.seconds)
        expected, usual_wait = undisturbed(site, recordings)
        say(f"{sum(map(len, expected))} segments; the longest wait is {usual_wait:.1f} s")
        started = time.monotonic()
        outcomes = []
        for fault in chosen(site, arguments.only, arguments.minutes, rng):
            outcomes.append(disturbed(site, recordings, expected, fault, rng))
            report(outcomes[-1], fault)
        minutes = (time.monotonic() - started) / 60
        shutil.copy(site.stack.var / "up.log", LOG)
    summary = summarize(outcomes, usual_wait) | {"seed": seed, "minutes": round(minutes, 1)}
    say(json.dumps(summary, indent=2))
    say(f"The log of the service is in {LOG}")
    if arguments.write:
        RESULTS.write_text(json.dumps(summary, indent=2) + "\n")
    return 1 if summary["problems"] else 0


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos")
    parser.add_argument(
        "--minutes", type=float, default=0.0, help="repeat faults in random order for so long"
    )
    parser.add_argument("--seed", type=int)
    parser.add_argument("--jobs", type=int, default=6, help="recordings at once")
    parser.add_argument("--seconds", type=float, default=80, help="the length of each of them")
    parser.add_argument("--only", nargs="*", default=[], help="names of faults")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    return parser.parse_args()


@contextmanager
def running(folder: str) -> Iterator[Site]:
    """A stack with its own data folder."""
    var = Path(folder) / "var"
    var.mkdir()
    Path(folder).chmod(0o711)  # PostgreSQL, another user if we are root, gets the same disk
    stack = ChaosStack(var)
    try:
        stack.start()
        yield Site(stack)
    finally:
        stack.close()


def make_recordings(media: Media, count: int, seconds: float) -> list[Path]:
    """Different recordings of speech, in different formats."""
    return [
        media.make(
            f"{number}.{FORMATS[number % len(FORMATS)]}",
            *("-stream_loop", "-1", "-ss", str(number * 1.7), "-i", str(SAMPLE)),
            *("-t", str(seconds), "-ac", "1"),
        )
        for number in range(count)
    ]


def possible(site: Site) -> Iterator[Fault]:
    """The faults that can be injected on this machine."""
    yield from FAULTS
    if site.stack.has_own_disk:
        yield FULL_DISK
    else:
        say(f"{FULL_DISK.name:20} skipped: only root can mount a small disk")


def chosen(site: Site, only: list[str], minutes: float, rng: random.Random) -> Iterator[Fault]:
    """The faults to inject, one after another."""
    faults = [fault for fault in possible(site) if not only or fault.name in only]
    until = time.monotonic() + 60 * minutes
    yield from faults
    while time.monotonic() < until:
        yield rng.choice(faults)


def report(outcome: Outcome, fault: Fault) -> None:
    """One line for each round."""
    stall = outcome.wait_s - fault.lasts
    verdict = "; ".join(outcome.problems) or "nothing lost"
    if outcome.resumed:
        verdict += f", {outcome.resumed} resumed by the owner"
    if outcome.swept:
        verdict += f", {outcome.swept} files without a recording deleted later"
    slow = " (more than the goal)" if stall > STALL_GOAL_S else ""
    say(f"{fault.name:20} waited {outcome.wait_s:6.1f} s{slow}: {verdict}")


def summarize(outcomes: list[Outcome], usual_wait: float) -> dict[str, Any]:
    """The figures of the run."""
    lasts = {fault.name: fault.lasts for fault in (*FAULTS, FULL_DISK)}
    by_fault: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_fault.setdefault(outcome.fault, []).append(outcome)
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
        "jobs": sum(outcome.jobs for outcome in outcomes),
        "faults": len(outcomes),
        "problems": [asdict(outcome) for outcome in outcomes if outcome.problems],
        "usual_wait_s": round(usual_wait, 1),
        "longest_stall_s": round(max(o.wait_s - lasts[o.fault] for o in outcomes), 1),
        "swept": sum(outcome.swept for outcome in outcomes),
        "waits": {
            name: {
                "rounds": len(group),
                "fault_lasts_s": lasts[name],
                "median_s": round(statistics.median(outcome.wait_s for outcome in group), 1),
                "longest_s": round(max(outcome.wait_s for outcome in group), 1),
            }
            for name, group in sorted(by_fault.items())
        },
    }


def say(line: str) -> None:
    """Print immediately, also to a file."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
