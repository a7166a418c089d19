"""All that somebody has, as one ZIP file that is written while it is read."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from typing import IO, Any

from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.core.serializers.json import DjangoJSONEncoder

from accounts.models import AuditEvent, User
from accounts.text import clean_name
from accounts.usage.summary import usage_this_month
from transcriptions import permissions
from transcriptions.exports.documents import EXPORTERS
from transcriptions.exports.service import transcript_of
from transcriptions.models import State, Transcription
from transcriptions.schemas.transcripts import TranscriptOut
from transcriptions.webhooks.permissions import webhooks_of

PIECE = 256 * 1024
SETTINGS = ("keep_audio_days", "keep_days", "mail_when_ready")
EXTENSIONS = {"mp3": "mp3", "wav": "wav", "w64": "wav", "mov": "m4a", "flac": "flac", "ogg": "ogg"}


class _Outlet(io.RawIOBase):
    """What a ZIP file is written to: it holds no more than what has not been taken yet."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: Any) -> int:
        """Keeps a piece."""
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """All pieces since the last time."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def export_user_data(user: User) -> Iterator[bytes]:
    """The pieces of the ZIP: the account with all that is written about it, and a folder for each
    recording."""
    outlet = _Outlet()
    with zipfile.ZipFile(outlet, "w") as archive:
        for name, about in (("account", _account), ("usage", _usage), ("activity", _activity)):
            archive.writestr(f"{name}.json", _json(about(user)))
            yield outlet.take()
        for id in list(
            permissions.visible_to(user).order_by("created_at").values_list("id", flat=True)
        ):
            if (
                row := permissions.visible_to(user).filter(id=id).first()
            ):  # else it is deleted by now
                yield from _recording(archive, outlet, row)
    yield outlet.take()


def _recording(archive: zipfile.ZipFile, outlet: _Outlet, row: Transcription) -> Iterator[bytes]:
    folder = f"{row.created_at:%Y-%m-%d} {_for_disks(row.title)} {str(row.id)[:8]}"
    archive.writestr(f"{folder}/recording.json", TranscriptOut.of(row).model_dump_json(indent=2))
    if row.state == State.COMPLETED:
        transcript = transcript_of(row)
        for form in ("txt", "srt", "vtt"):
            archive.writestr(f"{folder}/transcript.{form}", EXPORTERS[form].write(transcript))
    yield outlet.take()
    try:
        source = row.source.open("rb") if row.source else None
    except FileNotFoundError:
        source = None
    if source:
        name = f"{folder}/recording.{EXTENSIONS.get(row.format, 'media')}"
        with source, archive.open(name, "w", force_zip64=True) as entry:
            yield from _copied(source, entry, outlet)


def _copied(source: Any, entry: IO[bytes], outlet: _Outlet) -> Iterator[bytes]:
    while piece := source.read(PIECE):
        entry.write(piece)
        yield outlet.take()


def _for_disks(title: str) -> str:
    """Without what some system does not take in a name. Names that Windows keeps for itself (NUL)
    and dots at the end do no harm between a date and an id."""
    return re.sub(r'[<>:"/\\|?*]', "-", clean_name(title))[:80]


def _json(data: object) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False, cls=DjangoJSONEncoder)


def _usage(user: User) -> list[dict[str, Any]]:
    """All rows of the ledger, oldest first."""
    return [
        {
            "at": row.created_at,
            "recording": row.transcription,
            "outcome": row.outcome,
            "charged_seconds": row.audio_seconds if row.billed else 0,
            "reason": row.reason,
        }
        for row in user.usage.order_by("created_at", "id")
    ]


def _activity(user: User) -> list[dict[str, Any]]:
    """The audit log, oldest first."""
    events = AuditEvent.objects.filter(user=user).order_by("created_at", "id")
    return [
        {"at": e.created_at, "what": e.action, "detail": e.detail, "address": e.address}
        for e in events
    ]


def _account(user: User) -> dict[str, Any]:
    addresses = EmailAddress.objects.filter(user=user)
    connected = SocialAccount.objects.filter(user=user)
    return {
        "email": user.email,
        "joined": user.date_joined,
        "name": user.get_full_name(),
        "addresses": list(addresses.values("email", "verified", "primary")),
        "connected": list(connected.values("provider", "uid", "date_joined")),
        "plan": user.effective_plan.name,
        "settings": {name: getattr(user, name) for name in SETTINGS},
        "tokens": list(user.api_tokens.values("name", "hint", "scopes", "created_at")),
        "webhooks": list(webhooks_of(user).values_list("url", flat=True)),
        "usage_this_month": usage_this_month(user).model_dump(mode="json"),
    }
