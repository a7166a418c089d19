"""Usage is reported while it happens, and each second is charged once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from gpu.metering import DeviceClock, with_usage
from gpu.types import Cancelled, EngineEvent, Segment, UsageDelta, Word

SEGMENT = Segment((Word(0.0, 1.0, "Hello."),))


@dataclass
class Job:
    device_seconds: float = 0.0


def test_usage_is_yielded_before_segments_and_before_an_error() -> None:
    def broken() -> Iterator[EngineEvent]:
        yield SEGMENT
        yield SEGMENT
        raise Cancelled("nobody listens")

    used = iter(
        [UsageDelta(1.0, "L4", 0.5), UsageDelta(3.0, "L4", 0.5), UsageDelta(7.0, "L4", 0.5)]
    )
    events = with_usage(broken(), lambda: next(used))
    received = [next(events) for _ in range(5)]
    assert received == [
        UsageDelta(1.0, "L4", 0.5),
        SEGMENT,
        UsageDelta(2.0, "L4"),
        SEGMENT,
        UsageDelta(4.0, "L4"),
    ]
    with pytest.raises(Cancelled):
        next(events)


def test_device_time_is_divided_among_codec_decoder_and_jobs() -> None:
    now = 100.0
    clock, a, b = DeviceClock(lambda: now), Job(), Job()
    steps = [
        (5.0, "codec", [a]),  # five seconds of nothing, and then the codec works for a
        (2.0, "decoder", [a, b]),  # after two seconds the decoder begins, for both
        (4.0, "codec", []),  # four seconds of both: two of the codec, two of the decoder
        (6.0, "decoder", []),
        (9.0, "codec", []),
    ]
    for seconds, user, jobs in steps:
        now += seconds
        clock.set_jobs(user, jobs)
    assert (a.device_seconds, b.device_seconds) == (2 + 2 + 1 + 3, 1 + 3)
