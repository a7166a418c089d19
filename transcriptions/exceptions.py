"""Errors that more than one package raises or handles. `str()` is a message for the owner."""

from __future__ import annotations

import errno

from django.db import InterfaceError, OperationalError
from django.utils.translation import gettext_lazy as _

# The database is unreachable or at its limits. A COMMIT that raises one may have succeeded.
DATABASE_AWAY = (OperationalError, InterfaceError)
DISK_FULL_MESSAGE = _("There is not enough disk space for this recording. Please try again later.")
STORAGE_UNAVAILABLE_MESSAGE = _(
    "The storage for recordings is temporarily unavailable. Please try again later."
)


class LeaseLost(Exception):
    """The row was deleted or cancelled, or its lease expired and another worker has it now."""


class WrongState(Exception):
    """The operation is not possible in the state that the recording is in."""


class EditConflict(WrongState):
    """The text differs from what the caller has read: someone else edited it."""


class NothingToUndo(WrongState):
    """No change was made, or none was undone."""


class UnknownVersion(Exception):
    """The transcript no longer has a version with this number. `str()` is a message for the
    owner."""


class UnknownSpeaker(Exception):
    """The recording has no speaker with this number. `str()` is a message for the owner."""


class UnknownWord(Exception):
    """The segment has no such words. `str()` is a message for the owner."""


class NothingToSplit(Exception):
    """None or all of the words of a speaker were chosen. `str()` is a message for the owner."""


class TooManyProposals(Exception):
    """Voices of too many speakers are being compared. `str()` is a message for the owner."""


class VoiceRefused(Exception):
    """The voice cannot be kept, or cannot have this name. `str()` is a message for the owner."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class TooManyAnnotations(Exception):
    """The transcript has the maximum number of annotations. `str()` is a message for the owner."""


class AudioDeleted(WrongState):
    """The audio to process has been deleted."""


class NoSpeech(WrongState):
    """The recording has no words."""


class StorageUnavailable(OSError):
    """The object storage cannot be reached, or refuses a request. `str()` is the reason, for logs
    and operators; it contains no credentials."""


class AudioError(Exception):
    """The recording cannot be used."""

    code = "corrupt_media"


class UnsupportedFormat(AudioError):
    """The file is not audio or video, or its format is not supported."""

    code = "unsupported_format"


class NoAudio(AudioError):
    """The file contains no sound."""

    code = "no_audio"


class TooLong(AudioError):
    """The recording is longer than MAX_DURATION_SECONDS or the plan allows."""

    code = "too_long"


def is_disk_full(error: OSError) -> bool:
    """Whether the disk is full, or a quota of the disk or a limit of the process is exceeded."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
