"""Objects of a user that URLs refer to, and requests for them."""

from __future__ import annotations

import re
from typing import Any

from allauth.account.models import EmailAddress
from django.test import Client
from django.utils import timezone

from accounts.invitations import invitation_link
from accounts.models import ApiToken, Invitation, Scope, User
from accounts.tokens import issue_token
from transcriptions.models import (
    DiarizationJob,
    DirectUpload,
    Segment,
    State,
    SubtitleProfile,
    Transcription,
    Voice,
)
from transcriptions.webhooks.models import Delivery, Endpoint

# Of operations with JSON, by a part of their path.
BODIES = {
    "/segments/": '{"text": "Changed", "speaker": 2}',
    "/speakers/merge": '{"from": 2, "into": 1}',
    "/speakers/detect": "{}",
    "/speakers/assign": '{"speaker": 2, "parts": [{"segment": 1}]}',
    "/split": '{"segments": [1]}',
    "/speakers/": '{"name": "Changed"}',
    "/edits": '{"changes": [{"from": 1, "to": 1, "segments": [{"text": "Changed"}]}]}',
    "/annotations/": '{"body": "Changed"}',
    "/annotations": '{"kind": "bookmark", "start": 1}',
    "/voices/": '{"name": "Changed"}',
    "/recognize": "{}",
}
JSON_POSTS = ("/recognize", "/merge", "/detect", "/edits", "/annotations", "/client_secrets")


class Resources:
    """Objects of Alice that URLs refer to."""

    def __init__(self, alice: User) -> None:
        self.row = Transcription.objects.create(
            owner=alice,
            title="Confidential",
            source="none",
            source_bytes=1,
            state=State.COMPLETED,
            completed_at=timezone.now(),
        )
        Segment.objects.create(
            transcription=self.row, number=1, start=0, end=1, text="Confidential."
        )
        self.row.speakers.create(number=1, name="Confidential")
        self.row.speakers.create(number=2)
        self.annotation = self.row.notes.create(kind="comment", start=0, end=1, body="Confidential")
        DiarizationJob.objects.create(transcription=self.row, max_speakers=7)
        self.upload = DirectUpload.objects.create(
            owner=alice,
            title="Confidential",
            priority=1,
            bytes=1,
            part_bytes=1,
            expires_at=timezone.now(),
        )
        self.token = issue_token(alice)[0]
        self.address = EmailAddress.objects.create(user=alice, email="other@example.com")
        self.voice = Voice.objects.create(owner=alice, name="Confidential")
        self.profile = SubtitleProfile.objects.create(owner=alice, name="Confidential", norms={})
        self.endpoint = Endpoint.objects.create(owner=alice, url="https://example.com/")
        self.delivery = self.endpoint.create_delivery("webhook.test", "msg_1", {})
        invitation = Invitation.objects.create(email="dora@example.com", invited_by=alice)
        self.code = invitation_link(invitation).split("/")[-2]

    def fill(self, path: str) -> str:
        """The path with the ids of these resources."""
        values: dict[str, object] = {
            "upload": self.upload.id,
            "token": self.token.id,
            "address": self.address.id,
            "profile": self.profile.id,
            "voice": self.voice.id,
            "annotation": self.annotation.id,
            "endpoint": self.endpoint.id,
            "delivery": self.delivery.id,
            "number": 1,
            "revision": 0,
            "name": "whisper-1",
            "code": self.code,
        }
        if "docs/" in path:
            values["name"] = "transcript.png" if "images" in path else "api"
        if path.startswith("schemas/"):
            values["name"] = "transcript-1.json"
        other_id = self.endpoint.id if "webhooks" in path else self.row.id

        def value(parameter: re.Match[str]) -> str:
            name = parameter["name"].removesuffix("_id")
            return str(values.get(name, other_id))

        return re.sub(r"(<\w+:|{)(?P<name>\w+)[>}]", value, path)

    def unchanged(self) -> bool:
        """Whether all objects are as they were created."""
        self.row.refresh_from_db()
        return (
            (self.row.title, self.row.text, self.row.state)
            == ("Confidential", "Confidential.", "completed")
            and [job.max_speakers for job in DiarizationJob.objects.all()] == [7]
            and [speaker.name for speaker in self.row.speakers.all()] == ["Confidential", ""]
            and [note.body for note in self.row.notes.all()] == ["Confidential"]
            and DirectUpload.objects.filter(pk=self.upload.pk).exists()
            and ApiToken.objects.filter(pk=self.token.pk).exists()
            and [voice.name for voice in Voice.objects.all()] == ["Confidential"]
            and SubtitleProfile.objects.filter(pk=self.profile.pk, norms={}).exists()
            and Endpoint.objects.get().secret == self.endpoint.secret
            and Delivery.objects.count() == 1
        )


def call(client: Client, operation: str, resources: Resources) -> Any:
    method, path = operation.split(" ")
    body = next((body for part, body in BODIES.items() if part in path), '{"title": "Changed"}')
    is_form = method == "POST" and not path.endswith(JSON_POSTS)
    media_type = "multipart/form-data; boundary=x" if is_form else "application/json"
    return client.generic(method, resources.fill(path), body, content_type=media_type)


def with_token(user: User, *scopes: Scope) -> Client:
    return Client(headers={"Authorization": f"Bearer {issue_token(user, scopes=scopes)[1]}"})


def with_session(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


# --- The API ------------------------------------------------------------------------------------
