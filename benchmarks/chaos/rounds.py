"""One round: recordings are uploaded and followed, one fault is injected, and everything is
compared."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.chaos.faults import Fault
from benchmarks.chaos.followers import Follower, SseFollower, WebSocketFollower
from benchmarks.chaos.site import Site
from transcodio_site.testing import wait_until

ROUND_TIMEOUT_S = 600.0
LATEST_EARLY_S = 3.0  # after the start of the uploads
SETTLE_TIMEOUT_S = 60.0  # for the cleanup after the last segment
ROUNDING_S = 0.05

Segments = list[tuple[int, float, float, str]]


@dataclass(slots=True)
class Outcome:
    """What happened in one round; `problems` is empty if nothing was lost."""

    fault: str
    jobs: int
    wait_s: float  # the longest time that a follower waited for the next event of a recording
    resumed: int = 0  # recordings that failed with a message, and that their owner resumed
    swept: int = 0  # files without a recording
    problems: list[str] = field(default_factory=list)


def undisturbed(site: Site, recordings: list[Path]) -> tuple[list[Segments], float]:
    """The segments of each recording, and the longest wait between two events."""
    ids, followers = _upload(site, recordings)
    _wait_until_complete(site, followers)
    return [segments(site.transcript(id)) for id in ids], _longest_wait(followers)


def disturbed(
    site: Site, recordings: list[Path], expected: list[Segments], fault: Fault, rng: random.Random
) -> Outcome:
    """Upload all recordings into the empty library, inject the fault, wait, compare."""
    site.delete_recordings()
    with ThreadPoolExecutor(1) as injecting:
        if fault.early:
            injection = injecting.submit(_inject, site, fault, rng.uniform(0.0, LATEST_EARLY_S))
            ids, followers = _upload(site, recordings)
        else:
            ids, followers = _upload(site, recordings)
            _wait_for_segments(followers, rng.randrange(1, sum(map(len, expected)) * 3 // 4))
            injection = injecting.submit(_inject, site, fault, 0.0)
        injection.result()
    resumed = _wait_until_complete(site, followers)
    outcome = Outcome(fault.name, len(ids), _longest_wait(followers), resumed)
    if fault.interrupts:
        outcome.swept = len(site.stored()["orphans"])
        site.delete_orphaned_files()
    outcome.problems = _problems(site, ids, followers, expected)
    return outcome


def _inject(site: Site, fault: Fault, delay_s: float) -> None:
    time.sleep(delay_s)
    fault.inject(site)


def _wait_for_segments(followers: list[Follower], count: int) -> None:
    """Wait until this many segments of all recordings have been received over SSE."""
    wait_until(lambda: sum(len(f.numbers) for f in followers[::2]) >= count, ROUND_TIMEOUT_S)


def segments(transcript: dict[str, Any]) -> Segments:
    """Number, start, end and text of each segment."""
    return [(s["id"], s["start"], s["end"], s["text"]) for s in transcript["segments"]]


def _upload(site: Site, recordings: list[Path]) -> tuple[list[str], list[Follower]]:
    """Upload the recordings. Return their ids, and two followers of each, started as soon as the id
    is known."""
    following: dict[str, list[Follower]] = {}

    def upload_and_follow(recording: Path) -> str:
        started = time.monotonic()
        transcription_id = site.upload(recording, key=uuid.uuid4().hex)
        pair: list[Follower] = [kind(site, transcription_id, started) for kind in FOLLOWERS]
        for follower in pair:
            follower.start()
        following[transcription_id] = pair
        return transcription_id

    with ThreadPoolExecutor(len(recordings)) as pool:
        ids = list(pool.map(upload_and_follow, recordings))
    return ids, [follower for id in ids for follower in following[id]]


FOLLOWERS: tuple[Callable[[Site, str, float], Follower], ...] = (SseFollower, WebSocketFollower)


def _wait_until_complete(site: Site, followers: list[Follower]) -> int:
    """Wait for all recordings. Return how many had to be resumed by their owner."""
    resumed = 0

    def are_complete() -> bool:
        nonlocal resumed
        for follower in followers[::2]:
            if follower.failed.is_set() and not follower.complete.is_set():
                follower.failed.clear()
                site.retry(follower.id)
                resumed += 1
        return all(follower.complete.is_set() for follower in followers)

    try:
        wait_until(are_complete, ROUND_TIMEOUT_S)
    finally:
        for follower in followers:
            follower.stopped = True
    return resumed


def _longest_wait(followers: list[Follower]) -> float:
    return max(follower.longest_wait for follower in followers)


def _problems(
    site: Site, ids: list[str], followers: list[Follower], expected: list[Segments]
) -> list[str]:
    problems = []
    for transcription_id, wanted in zip(ids, expected, strict=True):
        if segments(site.transcript(transcription_id)) != wanted:
            problems.append(f"{transcription_id}: other segments than undisturbed")
    for follower in followers:
        if follower.numbers != list(range(1, len(follower.numbers) + 1)):
            problems.append(f"{follower.id}: {type(follower).__name__} saw {follower.numbers}")
    return problems + _stored_problems(site, ids)


def _stored_problems(site: Site, ids: list[str]) -> list[str]:
    """Wrong rows, charges or files. Workers get some time to finish deletions."""
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    while problems := _compare_stored(site.stored(), ids):
        if time.monotonic() > deadline:
            break
    return problems


def _compare_stored(stored: dict[str, Any], ids: list[str]) -> list[str]:
    problems = [
        f"{name}: {stored[name]}"
        for name in ("leased", "orphans", "missing", "temporary")
        if stored[name]
    ]
    for transcription_id, state in stored["states"].items():
        if state != "completed":
            problems.append(f"{transcription_id}: {state}")
    if unknown := set(stored["states"]) - set(ids):
        problems.append(f"recordings that nobody knows: {sorted(unknown)}")
    for transcription_id in ids:
        charges = stored["charges"].get(transcription_id, [])
        duration = stored["durations"].get(transcription_id) or 0.0
        if len(charges) != 1 or abs(charges[0] - duration) > ROUNDING_S:
            problems.append(f"{transcription_id}: charged {charges} s for {duration} s")
    return problems
