"""The audio of a completed recording, prepared again from what is stored."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from transcriptions.models import Transcription
from transcriptions.processing.media.conversion import Selection, prepare
from transcriptions.processing.preparation import declared_raw_audio
from transcriptions.storage.local_copy import local_copy


@contextmanager
def prepared_again(row: Transcription, check: Callable[[], None]) -> Iterator[Path]:
    """A WAV file of the track that was transcribed, with its channels mixed, until the body ends.
    Raises AudioError, OSError, StorageUnavailable, and what `check` raises."""
    with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR, prefix="voice-") as name:
        folder = Path(name)
        source = local_copy(row.source, folder, check)
        track = next((track["index"] for track in row.tracks if track["chosen"]), 0)
        selection = Selection(declared_raw_audio(source, row.options), track)
        yield prepare(source, folder, check, selection).path
