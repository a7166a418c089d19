"""A short form of `make chaos`: processes are killed, and nothing is lost."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.chaos.__main__ import make_recordings, running
from benchmarks.chaos.faults import FAULTS
from benchmarks.chaos.rounds import Segments, disturbed, undisturbed
from benchmarks.chaos.site import Site
from transcodio_site.testing import Media

RECORDINGS, SECONDS = 2, 20.0
SEED = 7
# Other tests kill the other processes, too, but without comparing what was recognized.
SHORT = (
    "worker",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("postgres", "web", "valkey")),
)

Prepared = tuple[Site, list[Path], list[Segments]]


@pytest.fixture(scope="module")
def prepared(media: Media, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    """A running service, recordings, and their segments in an undisturbed run."""
    recordings = make_recordings(media, RECORDINGS, SECONDS)
    with running(str(tmp_path_factory.mktemp("chaos"))) as site:
        yield site, recordings, undisturbed(site, recordings)[0]


@pytest.mark.covers("fault", "The worker is killed while it recognizes speech")
@pytest.mark.covers("fault", "The web server is killed with followers over SSE and WebSocket")
@pytest.mark.covers("fault", "Valkey is killed and comes back empty")
@pytest.mark.covers("fault", "PostgreSQL is killed")
@pytest.mark.parametrize("name", SHORT)
def test_nothing_is_lost_or_doubled(prepared: Prepared, name: str) -> None:
    site, recordings, expected = prepared
    fault = next(fault for fault in FAULTS if fault.name == name)
    outcome = disturbed(site, recordings, expected, fault, random.Random(SEED))
    assert outcome.problems == []
