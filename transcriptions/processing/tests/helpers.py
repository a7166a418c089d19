"""Helpers for tests of processing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.db import connection
from django.utils import timezone

from gpu.types import (
    Audio,
    Complete,
    EngineEvent,
    Metadata,
    Segment,
    Unreachable,
    UsageDelta,
    Word,
)
from transcodio_site.testing import Media
from transcriptions.models import Progress, Transcription
from transcriptions.processing import lifecycle
from transcriptions.processing.media.conversion import PreparedAudio

Prepare = Callable[[Path], PreparedAudio]
Waiting = Callable[..., list[Transcription]]

FIVE_SENTENCES = [f"Sentence {n}." for n in range(1, 6)]


@dataclass
class SpanEngine:
    """An engine that recognizes one segment in each span, named by its file and its start. It fails
    before the segment number `fails_at`, counted from 1 over all calls. Each call waits for
    `before_first`."""

    fails_at: int = 0
    segments: int = 0
    calls: list[Audio] = field(default_factory=list)
    before_first: Callable[[], object] = bool

    def stream(self, audio: Audio, stopped: Callable[[], bool] = bool) -> Iterator[EngineEvent]:
        self.calls.append(audio)
        yield Metadata(audio.language or "en", "spans-1")
        self.before_first()
        for span in audio.spans:
            self.segments += 1
            if self.segments == self.fails_at:
                raise Unreachable("interrupted")
            yield UsageDelta(0.1)
            text = f"{audio.path.stem} {span.start:.2f}."
            yield Segment((Word(span.start, span.end, text),))
        seconds = sum(span.end - span.start for span in audio.spans)
        yield Complete(seconds, 0.1 * len(audio.spans))


def fresh(row: Transcription) -> Transcription:
    """The row as it is stored now."""
    return Transcription.objects.get(id=row.id)


def set_expired(row: Transcription) -> None:
    """Let the lease, or the delay, end."""
    past = timezone.now() - timedelta(seconds=1)
    Progress.objects.filter(transcription=row).update(lease_until=past)


def expire(row: Transcription) -> None:
    """Let the lease, or the delay, end. A row whose worker was lost waits again."""
    set_expired(row)
    lifecycle.recover(Transcription.objects.with_expired_lease())


def renew(row: Transcription) -> None:
    """Renew the lease of one row, as its worker does. Raises LeaseLost."""
    lifecycle.renew_leases([row])
    lifecycle.ensure_held(row)


def raising(error: BaseException) -> Callable[..., None]:
    """A function that raises `error`."""

    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def no_check() -> None:
    """For functions that ask from time to time whether they should go on: always."""


def script(path: Path, lines: str) -> str:
    """A program for `sh` in place of FFmpeg, which any user may run. Returns its path."""
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)
    return str(path)


def with_gap(media: Media, seconds: int) -> Path:
    """Five seconds of audio, the last three delayed by `seconds`."""
    jump = f"asetpts=PTS+gt(T\\,2)*{seconds}/TB"
    return media.make(f"gap-{seconds}.webm", "-i", str(media.speech("five.wav", 5)), "-af", jump)


def worker_environment(settings: Any) -> dict[str, str]:
    """Of a process that uses the database, the queue and the storage of the test."""
    database = urlsplit(settings.DATABASE_URL)._replace(path=f"/{connection.settings_dict['NAME']}")
    return os.environ | {
        "DATABASE_URL": urlunsplit(database),
        "REDIS_URL": settings.REDIS_URL,
        "STORAGE_URL": settings.MEDIA_ROOT.as_uri(),
    }
