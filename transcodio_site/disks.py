"""The folders of this machine that have the data of the installation."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from transcriptions.storage.base import recording_storage


def data_folders() -> dict[str, Path]:
    """VAR_DIR, and the folder of the recordings, which may be on another disk. Recordings in a
    bucket have none."""
    folders = {"data": Path(settings.VAR_DIR)}
    media = Path(settings.MEDIA_ROOT)
    # The first upload creates it. Only a bucket has multipart uploads.
    if recording_storage().multipart is None and media.is_dir():
        folders["recordings"] = media
    return folders
