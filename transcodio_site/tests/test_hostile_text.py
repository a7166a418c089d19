"""Titles, segments and names that are HTML, subtitles, formulas or headers stay text wherever they
are shown, exported or sent."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import pytest
from django.core.mail import EmailMultiAlternatives
from django.test import RequestFactory

from accounts.audit_log import record_event
from accounts.models import Action, User
from transcodio_site.tests.resources import Resources, with_session
from transcriptions.exports.documents import EXPORTERS
from transcriptions.media_formats import FORMATS, OCTETS, extension
from transcriptions.models import Segment, Speaker, Transcription
from transcriptions.notifications import emails

HOSTILE = [
    "<script>alert(1)</script>",
    "</title></script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' autofocus onfocus='alert(1)",
    "<svg/onload=alert(1)><style>*{}</style>",
    "--> <b>bold</b>",
    "00:00:00.000 --> 00:00:09.000\n\nNOTE <c>",
    "STYLE ::cue { background: url(https://evil.example) }",
    "javascript:alert(1)//",
    "{{ settings.SECRET_KEY }}{% now 'Y' %}${7*7}",
    "=HYPERLINK(A1)",
    "a\r\nBcc: evil@example.com\r\n\r\n<b>",
    "\u202e]--! <!--[if IE]>",
    "&lt;b&gt;&#60;b&#62;",
]

MEDIA_TYPES = {format.media_type for format in FORMATS} | {OCTETS}


class Skeleton(HTMLParser):
    """The elements of a page with the names of their attributes, without any text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Store the element."""
        if tag != "br":  # a line break of the text itself
            self.elements.append((tag, tuple(sorted(name for name, _ in attrs))))
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]


def skeleton(html: str) -> list[tuple[str, tuple[str, ...]]]:
    page = Skeleton(html)
    assert not any(link.lower().startswith(("javascript:", "data:text")) for link in page.links)
    return page.elements


def write(row: Transcription, text: str) -> None:
    """Give the recording, its segment and its speaker this text, as if no check of the input
    existed."""
    Transcription.objects.filter(id=row.id).update(title=text)
    row.title = text
    Segment.objects.update(text=text, words=[], speaker=1)
    Speaker.objects.update_or_create(transcription=row, number=1, defaults={"name": text})


@pytest.fixture
def resources(alice: User) -> Resources:
    return Resources(alice)


@pytest.mark.covers("attack", "A title or a transcript is HTML, a script or a template")
@pytest.mark.parametrize("page", ["/", "transcript", "row", "job", "jobs", "usage", "settings"])
def test_text_adds_nothing_to_a_page(
    alice: User, carol: User, resources: Resources, page: str
) -> None:
    row = resources.row
    recordings = "/admin/transcriptions/transcription/"
    url = {
        "transcript": f"/transcriptions/{row.id}/",
        "row": f"/transcriptions/rows/?id={row.id}",
        "job": f"{recordings}{row.id}/change/",
        "jobs": recordings,
        "usage": "/settings/usage/details/",
        "settings": "/settings/data/",
    }.get(page, page)
    client = with_session(carol if "admin" in url else alice)
    write(row, "Plain")
    plain = skeleton(client.get(url).content.decode())
    for text in HOSTILE:
        write(row, text)
        assert skeleton(client.get(url).content.decode()) == plain, text


@pytest.mark.parametrize("text", HOSTILE)
def test_text_adds_nothing_to_logs_searches_and_messages(
    alice: User, resources: Resources, rf: RequestFactory, text: str
) -> None:
    client = with_session(alice)
    resources.endpoint.create_delivery("webhook.test", "msg_2", {"title": text})
    record_event(None, Action.EXPORTED, text, user_id=alice.pk)
    search = quote(text)
    paths = (
        "/settings/activity/",
        f"/settings/webhooks/{resources.endpoint.id}/",
        f"/?q={search}",
        f"/docs/search/?q={search}",
        f"/nowhere/{search}",
    )
    for path in paths:
        tags = {tag for tag, _ in skeleton(client.get(path).content.decode())}
        assert not tags & {"img", "style", "b", "c"}, path
        assert "alert(1)>" not in client.get(path).content.decode()
    write(resources.row, text)
    deleted = client.post(f"/transcriptions/{resources.row.id}/delete/", follow=True)
    assert {"img", "style", "b"}.isdisjoint(tag for tag, _ in skeleton(deleted.content.decode()))


@pytest.mark.covers("attack", "A transcript has subtitle markup, or text that starts a new cue")
@pytest.mark.parametrize("text", HOSTILE)
def test_text_stays_text_in_every_export(alice: User, resources: Resources, text: str) -> None:
    row = resources.row
    write(row, text)
    for format, exporter in EXPORTERS.items():
        response = with_session(alice).get(f"/api/transcriptions/{row.id}/export?format={format}")
        content = response.content.decode(errors="replace")  # some formats are binary
        assert response["Content-Type"] == exporter.media_type
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["Content-Disposition"].startswith("attachment; ")
        if format in ("srt", "vtt"):
            cues = content.removeprefix("WEBVTT\n\n")
            assert (cues.count("-->"), cues.count("\n\n")) == (1, 0)
        if format == "vtt":
            assert "<" not in content
        if format == "json":
            exported = json.loads(content)
            assert (exported["title"], exported["segments"][0]["text"]) == (text, text)


@pytest.mark.covers("attack", "A title adds a header or markup to an email")
@pytest.mark.parametrize("text", HOSTILE)
def test_text_stays_text_in_emails(
    resources: Resources, mailoutbox: list[EmailMultiAlternatives], text: str
) -> None:
    for title in ("Plain", text):
        write(resources.row, title)
        emails.send_transcript_ready(resources.row)
    plain, hostile = mailoutbox
    assert {*plain.message().keys()} == {*hostile.message().keys()}
    assert hostile.to == ["alice@example.com"]
    plain_html, hostile_html = (str(mail.alternatives[0][0]) for mail in mailoutbox)
    assert skeleton(hostile_html) == skeleton(plain_html)


@pytest.mark.covers("attack", "An uploaded file is HTML or SVG, or is opened as a page")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("format", ["mp3", "matroska", "html", "svg", "image2", ""])
def test_upload_is_never_served_as_a_page(
    alice: User, resources: Resources, settings: Any, tmp_path: Any, format: str
) -> None:
    settings.MEDIA_ROOT = tmp_path
    row = resources.row
    (tmp_path / "page.source").write_bytes(b"<!doctype html><script>alert(1)</script>")
    Transcription.objects.update(source="page.source", format=format, title="page.html")
    response = with_session(alice).get(f"/api/transcriptions/{row.id}/audio")
    assert response["Content-Type"] in MEDIA_TYPES
    assert response["X-Content-Type-Options"] == "nosniff"
    name = str(response["Content-Disposition"]).partition("filename=")[2].strip('"')
    assert name == f"page.html.{extension(format)}"
    assert extension(format) in {"mp3", "webm", "media"}
    assert "sandbox" in response["Content-Security-Policy"]


def test_every_media_type_is_audio() -> None:
    assert {media_type.split("/")[0] for media_type in MEDIA_TYPES - {OCTETS}} == {"audio"}
