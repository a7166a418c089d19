"""A transcript of speech: recognized once, and copied for each user who needs one."""

from __future__ import annotations

import httpx
from playwright.sync_api import Page

from transcodio_site.testing import Media, Stack, wait_until

COPY = """
import uuid
from django.core.files.base import ContentFile
from accounts.models import User
from transcriptions.models import AudioAnalysis, Segment, Transcription
row = Transcription.objects.get(id={id!r})
analysis, segments = row.analysis, list(row.segments.all())
row.id, row.owner, row.token, row.audio = uuid.uuid4(), User.objects.get(email={email!r}), None, ""
row.source.save("harbor.mp3", ContentFile(row.source.read()), save=False)
row.save(force_insert=True)
for segment in segments:
    segment.pk, segment.transcription = None, row
Segment.objects.bulk_create(segments)
analysis.transcription = row
analysis.save(force_insert=True)
print(row.id)
"""


class Recognized:
    """Opens the transcript of 12 seconds of speech, owned by the signed-in user."""

    def __init__(self, stack: Stack, media: Media) -> None:
        self.stack = stack
        self.id = _recognize(stack, media)

    def __call__(self, page: Page) -> str:
        """Returns its URL."""
        code = COPY.format(id=self.id, email=email_of(page))
        page.goto(f"/transcriptions/{self.stack.shell(code).strip()}/")
        return page.url


def email_of(page: Page) -> str:
    """The email address of the signed-in user."""
    title = page.locator(".account-link").get_attribute("title") or ""
    return title.removeprefix("Account: ")


def _recognize(stack: Stack, media: Media) -> str:
    headers = {"Authorization": f"Bearer {stack.token('recognized@example.com')}"}
    api = httpx.Client(base_url=f"{stack.url}/api/", headers=headers)
    with media.speech("harbor.mp3", 12).open("rb") as file:
        id: str = api.post("transcriptions", files={"file": file}).json()["id"]
    wait_until(lambda: api.get(f"transcriptions/{id}").json()["state"] == "completed")
    return id
