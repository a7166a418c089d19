"""Another audio track of a stored file as a recording of its own."""

from __future__ import annotations

from dataclasses import replace

from django.core.files.base import File
from django.utils.translation import gettext as _

from accounts.text import clean_name
from transcriptions.exceptions import AudioDeleted
from transcriptions.models import Transcription
from transcriptions.uploads.service import UploadRefused, file_deleted_on_error, insert
from transcriptions.usage import quotas


def transcribe_track(row: Transcription, track: int) -> Transcription:
    """A new recording of the same file, of which that audio track is transcribed. The existing
    transcript stays as it is.

    Raises AudioDeleted, UploadRefused, Throttled, StorageUnavailable; then nothing is left.
    """
    if not row.source:
        raise AudioDeleted(_("The audio of this recording has been deleted."))
    if track not in {each["index"] for each in row.tracks}:
        message = _("There is no such audio track in this recording.")
        raise UploadRefused(422, "unknown_track", message)
    quotas.check_before_upload(row.owner, None)
    title = _("%(title)s, audio track %(number)s") % {"title": row.title, "number": track + 1}
    created = Transcription(
        owner=row.owner,
        title=clean_name(title),
        source_bytes=row.source_bytes,
        requested_language=row.requested_language,
        priority=row.priority,
        stored_options=replace(row.options, track=track).as_json(),
    )
    with row.source.storage.open(row.source.name or "", "rb") as source:
        created.source.save("", File(source), save=False)
    with file_deleted_on_error(created):
        insert(created, None)
    return created
