"""Bodies with fields that their sender must not set, such as `owner` or `is_staff`.

Every request is sent twice: with its own fields, and with the columns of all tables in addition.
The second one must be refused, or leave the database in the same state as the first.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client

from accounts.models import ApiToken, Invitation, Plan, User
from accounts.tests.helpers import PASSWORD, sign_in
from transcodio_site.api import api as rest_api
from transcriptions.exports.user_profiles import ProfileIn
from transcriptions.models import (
    Annotation,
    DiarizationJob,
    Segment,
    Speaker,
    State,
    SubtitleProfile,
    Transcription,
    Voice,
)
from transcriptions.testing import MP3, set_state
from transcriptions.webhooks.models import Endpoint

MODELS = (
    User,
    EmailAddress,
    ApiToken,
    Plan,
    Invitation,
    Transcription,
    Segment,
    Speaker,
    Endpoint,
    SubtitleProfile,
    Voice,
    Annotation,
)
# Its columns are also fields of uploads.
COMPARED = (*MODELS, DiarizationJob)
# Columns that differ between two requests of the same kind.
VARYING = {
    *(
        "id",
        "created_at",
        "date_joined",
        "last_login",
        "password",
        "secret",
        "updated_at",
        "digest",
        "hint",
        "request_id",
    ),
    *("source", "transcription_id", "search", "virtual_start"),
}
# They share the form of POST /api/transcriptions, and wait for the worker.
SAME_FORM = {"post /api/transcribe", "post /api/transcribe/stream"}
# See transcriptions/uploads/tests/test_direct.py.
WITH_OBJECT_STORAGE = {"post /api/uploads"}
# It changes nothing, and refuses other fields: see transcriptions/api/tests/test_export_archive.py.
READS_ONLY = {"post /api/transcriptions/export"}
NEW_PASSWORD = "staple battery horse"


@dataclass(frozen=True)
class Request:
    """One request with a body; `{id}` in its path is the id of a recording."""

    name: str  # method and path, as the OpenAPI document names them
    fields: dict[str, Any]
    is_json: bool = False
    file: tuple[str, bytes] = ("a.mp3", MP3)

    def send(self, client: Client, recording: Transcription, more: dict[str, Any]) -> int:
        """Send it with `more` fields. Return the status."""
        method, path = self.name.split(" ")
        path = path.replace("{transcription_id}", str(recording.id)).replace("{number}", "1")
        path = path.replace("{name}", "club")
        if "{annotation_id}" in path:
            annotation_id = recording.notes.get().id
            path = path.replace("{annotation_id}", str(annotation_id))
        if "{voice" in path:
            voice_id = str(Voice.objects.get().id)
            path = path.replace("{voice_id}", voice_id).replace("{voice}", voice_id)
        if "{profile}" in path:
            profile = SubtitleProfile.objects.create(owner=recording.owner, name="club", norms={})
            path = path.replace("{profile}", str(profile.id))
        data: Any = more | self.fields
        if self.is_json:
            call: Callable[..., Any] = getattr(client, method)
            return int(call(path, json.dumps(data), content_type="application/json").status_code)
        if path.startswith("/api"):
            data["file"] = SimpleUploadedFile(*self.file)
        return int(client.post(path, data).status_code)


RECORDING = "/api/transcriptions/{transcription_id}"
PASSWORDS = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
TOKEN = {"name": "New", "scopes": "usage:read", "expiry": "", "monthly_minutes": ""}
RETENTION = {"keep_days": "7", "keep_audio_days": "", "email_when_ready": "", "confirmed": "1"}
WEBHOOK = {"url": "https://example.com/", "events": "transcription.failed"}
NORMS = ProfileIn(max_lines=1).model_dump()
REQUESTS = [
    Request("post /api/transcriptions", {"title": "New", "language": "en", "priority": "batch"}),
    Request(f"patch {RECORDING}", {"title": "New"}, is_json=True),
    Request(f"patch {RECORDING}/segments/{{number}}", {"text": "New"}, is_json=True),
    Request(f"patch {RECORDING}/speakers/{{number}}", {"name": "New"}, is_json=True),
    Request(f"post {RECORDING}/speakers/merge", {"from": 2, "into": 1}, is_json=True),
    Request(f"post {RECORDING}/speakers/detect", {"speakers": 2}, is_json=True),
    Request(
        f"post {RECORDING}/speakers/assign", {"speaker": 2, "parts": [{"segment": 1}]}, is_json=True
    ),
    Request(
        f"post {RECORDING}/speakers/{{number}}/split",
        {"segments": [1], "revision": 0},
        is_json=True,
    ),
    Request(
        f"post {RECORDING}/edits",
        {"changes": [{"from": 1, "to": 1, "segments": [{"text": "New"}]}]},
        is_json=True,
    ),
    Request(f"post {RECORDING}/annotations", {"kind": "bookmark", "start": 0.5}, is_json=True),
    Request(f"patch {RECORDING}/annotations/{{annotation_id}}", {"body": "New"}, is_json=True),
    Request("patch /api/voices/{voice_id}", {"name": "New"}, is_json=True),
    Request("put /api/subtitle-profiles/{name}", {"max_lines": 1}, is_json=True),
    Request(f"post {RECORDING}/import", {}, file=("a.txt", b"Old and new")),
    Request(f"post {RECORDING}/recognize", {"language": "de"}, is_json=True),
    Request("post /api/tokens", {"name": "New", "scopes": ["usage:read"]}, is_json=True),
    Request("post /settings/tokens/", TOKEN),
    Request("post /settings/webhooks/", WEBHOOK),
    Request("post /settings/data/", RETENTION),
    Request(
        "post /settings/transcription/", {"vocabulary": "Ada Lovelace", "detect_speakers": "on"}
    ),
    Request("post /settings/voices/{voice}/", {"name": "New"}),
    Request("post /settings/subtitles/new/", {"name": "New"} | NORMS),
    Request("post /settings/subtitles/{profile}/", NORMS),
    Request("post /accounts/email/", {"action_add": "", "email": "new@example.com"}),
    Request("post /accounts/signup/", {"email": "new@example.com"} | PASSWORDS),
    Request("post /accounts/password/change/", {"oldpassword": PASSWORD} | PASSWORDS),
]


def hostile_fields(victim: User, plan: Plan, own: dict[str, Any]) -> dict[str, Any]:
    """Every column of every table, except the fields that the request has itself."""
    values = {"owner": victim.pk, "user": victim.pk, "plan": plan.pk, "email": victim.email}
    fields: dict[str, Any] = {}
    for model in MODELS:
        for field in model._meta.concrete_fields:
            value = values.get(field.name, 1)
            fields |= {field.name: value, field.attname: value}
    fields |= {"is_staff": "on", "is_superuser": "on", "groups": 1, "user_permissions": 1}
    return {name: value for name, value in fields.items() if name not in own}


def snapshot(*known: User) -> dict[str, list[dict[str, Any]]]:
    """All rows without varying columns. The id of a new user, which is not known, varies too."""
    ids = [user.pk for user in known]

    def row(values: dict[str, Any]) -> dict[str, Any]:
        kept = {name: value for name, value in values.items() if name not in VARYING}
        return {n: None if n == "user_id" and v not in ids else v for n, v in kept.items()}

    return {
        model.__name__: sorted(map(row, model._default_manager.values()), key=repr)
        for model in COMPARED
    }


@pytest.fixture
def plan(db: None) -> Plan:
    """A plan that no user has."""
    return Plan.objects.create(name="Unlimited", price_cents=1)


@pytest.fixture
def recording(alice: User, settings: Any, tmp_path: Path) -> Transcription:
    """Alice's recording, with two segments."""
    settings.MEDIA_ROOT = tmp_path
    row = Transcription.objects.create(owner=alice, title="Old", source_bytes=9)
    row.source.save("", ContentFile(b"not empty"))
    words = [{"start": 0, "end": 1, "text": "Old", "speaker": 1}]
    row.segments.create(number=1, start=0, end=1, text="Old", words=words, speaker=1)
    row.segments.create(number=2, start=0, end=1, text="Old", words=words, speaker=1)
    row.speakers.create(number=1, name="Old")
    row.speakers.create(number=2)
    row.notes.create(kind="highlight", start=0, end=1, body="Old")
    Voice.objects.create(owner=alice, name="Old")
    set_state(State.COMPLETED)
    return row


def attempt(
    request: Request, users: list[User], recording: Transcription, more: dict[str, Any]
) -> tuple[int, Any]:
    """Send the request in a transaction that is rolled back. Return status and snapshot."""
    client = Client()
    if "signup" not in request.name:
        sign_in(client, users[0].email)
    with transaction.atomic():
        status = request.send(client, recording, more)
        after = snapshot(*users)
        transaction.set_rollback(True)
    return status, after


@pytest.mark.covers("attack", "A form or a JSON body with fields such as owner, plan or is_staff")
@pytest.mark.parametrize("body", REQUESTS, ids=lambda body: body.name)
def test_foreign_fields_are_refused_or_ignored(
    alice: User, bob: User, plan: Plan, recording: Transcription, body: Request
) -> None:
    users = [alice, bob]
    before = snapshot(*users)
    status, expected = attempt(body, users, recording, {})
    assert status < 400
    assert (expected != before) or "password/change" in body.name
    hostile = hostile_fields(bob, plan, body.fields)
    status, after = attempt(body, users, recording, hostile)
    assert after == (expected if status < 400 else before)
    if body.is_json:
        assert status == 422
    else:
        assert status < 400


def test_every_operation_with_a_body_is_tested() -> None:
    operations = {
        f"{method} {path}"
        for path, methods in rest_api.get_openapi_schema()["paths"].items()
        for method, operation in methods.items()
        if "requestBody" in operation
    }
    tested = {r.name for r in REQUESTS if " /api/" in r.name}
    assert operations == SAME_FORM | WITH_OBJECT_STORAGE | READS_ONLY | tested
