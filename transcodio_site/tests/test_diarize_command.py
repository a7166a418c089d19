"""`manage.py diarize`."""

from __future__ import annotations

import uuid
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import User
from transcriptions.models import DiarizationJob, State, Transcription

pytestmark = pytest.mark.django_db(transaction=True)


def recording(owner: User, **fields: Any) -> Transcription:
    """A complete one with a segment."""
    fields = {"state": State.COMPLETED, "completed_at": timezone.now(), "source": "none"} | fields
    row = Transcription.objects.create(owner=owner, title="Talk", source_bytes=1, **fields)
    row.segments.create(number=1, start=0.0, end=1.0, text="Yes.")
    return row


def run(*arguments: Any) -> tuple[str, str]:
    """Standard output, and errors."""
    out, err = StringIO(), StringIO()
    call_command("diarize", *map(str, arguments), stdout=out, stderr=err)
    return out.getvalue().strip(), err.getvalue().strip()


def waiting() -> set[uuid.UUID]:
    return set(DiarizationJob.objects.values_list("pk", flat=True))


def test_recordings_are_named_by_their_ids(alice: User) -> None:
    first, second = recording(alice), recording(alice)
    deleted, unknown = recording(alice, source=""), uuid.uuid4()
    out, err = run(first.id, deleted.id, unknown, "--speakers", 2)
    assert out == "Recordings whose speakers will be detected: 1"
    assert err.splitlines() == [
        f"{deleted.id}: The audio of this recording has been deleted.",
        f"{unknown}: There is no such recording.",
    ]
    job = DiarizationJob.objects.get()
    assert (job.pk, job.min_speakers, job.max_speakers) == (first.id, 2, 2)
    assert second.id not in waiting()


def test_all_without_speakers_are_found(alice: User, bob: User) -> None:
    alices, bobs = recording(alice), recording(bob)
    recording(alice).speakers.create(number=1)
    recording(alice, source="")
    recording(alice).segments.all().delete()
    recording(alice, state=State.QUEUED, completed_at=None)
    assert run("--all-without-speakers", "--owner", "Alice@example.com")[0].endswith(": 1")
    assert waiting() == {alices.id}
    assert run("--all-without-speakers")[0].endswith(": 1")
    assert waiting() == {alices.id, bobs.id}
    assert run("--all-without-speakers")[0].endswith(": 0")


def test_recordings_of_others_are_left_out(alice: User, bob: User) -> None:
    row = recording(alice)
    assert "There is no such recording." in run(row.id, "--owner", bob.email)[1]
    assert waiting() == set()


@pytest.mark.parametrize(
    "arguments",
    [[], [uuid.uuid4(), "--all-without-speakers"], ["--all-without-speakers", "--owner", "nobody"]],
)
def test_unclear_arguments_are_refused(db: None, arguments: list[Any]) -> None:
    with pytest.raises(CommandError):
        run(*arguments)
