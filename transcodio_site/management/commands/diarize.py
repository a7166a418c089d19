"""`manage.py diarize`: the speakers of recordings that are in the library already."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Exists, OuterRef, QuerySet

from accounts.models import User
from accounts.rate_limits import Throttled
from gpu.diarization.clustering import MAX_SPEAKERS
from transcriptions.exceptions import WrongState
from transcriptions.models import Segment, State, Transcription
from transcriptions.processing import commands


class Command(BaseCommand):
    help = "Detects the speakers of completed recordings without recognizing them again."

    def add_arguments(self, parser: CommandParser) -> None:
        """The arguments of the command."""
        parser.add_argument("ids", nargs="*", type=uuid.UUID, metavar="ID", help="recordings")
        parser.add_argument("--owner", metavar="EMAIL", help="only recordings of this user")
        parser.add_argument(
            "--all-without-speakers",
            action="store_true",
            help="all recordings with audio and without speakers",
        )
        parser.add_argument(
            "--speakers",
            type=int,
            choices=range(1, MAX_SPEAKERS + 1),
            metavar="N",
            help="number of speakers in each recording, if known",
        )

    def handle(self, *args: Any, **options: Any) -> str:
        """Print how many recordings are waiting for detection, and why others are not."""
        if bool(options["ids"]) == options["all_without_speakers"]:
            raise CommandError("Name recordings by their ids, or use --all-without-speakers.")
        count = 0
        for transcription_id in options["ids"] or _without_speakers(_of(options["owner"])):
            try:
                row = _of(options["owner"]).get(id=transcription_id)
                commands.detect_speakers(row, options["speakers"], options["speakers"])
                count += 1
            except Transcription.DoesNotExist:
                self.stderr.write(f"{transcription_id}: There is no such recording.")
            except (WrongState, Throttled) as error:
                self.stderr.write(f"{transcription_id}: {error}")
        return f"Recordings whose speakers will be detected: {count}"


def _of(email: str | None) -> QuerySet[Transcription]:
    """Recordings of this user, or of all. Raises CommandError."""
    if email is None:
        return Transcription.objects.all()
    user = User.objects.filter(email=email.strip().lower()).first()
    if user is None:
        raise CommandError(f"There is no user {email}.")
    return Transcription.objects.filter(owner=user)


def _without_speakers(rows: QuerySet[Transcription]) -> list[uuid.UUID]:
    """The ids of recordings with speech and without speakers, oldest first."""
    complete = rows.filter(state=State.COMPLETED, diarization_job=None).exclude(source="")
    has_segments = Exists(Segment.objects.filter(transcription=OuterRef("pk")))
    unknown = complete.filter(has_segments, speakers__isnull=True)
    return list(unknown.order_by("created_at").values_list("id", flat=True))
