"""Checks of `manage.py check --deploy`."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, register

from transcriptions.exceptions import StorageUnavailable
from transcriptions.storage.base import recording_storage


@register(deploy=True)
def check_storage(**_: Any) -> list[CheckMessage]:
    """Check that the storage of STORAGE_URL can be reached and accepts the credentials."""
    try:
        recording_storage().check_access()
    except StorageUnavailable as error:
        message = f"No access to the storage: {error}"
        return [Error(message, hint="Check STORAGE_URL.", id="transcriptions.E001")]
    return []
