"""The documentation on the site: every page is public, complete, cacheable and searchable."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from transcodio_site.api import api
from transcodio_site.documentation.pages import documentation
from transcodio_site.documentation.reference import document_of, operations_of
from transcodio_site.documentation.search import (
    MAX_QUERY_CHARS,
    MAX_RESULTS,
    Entry,
    search,
    terms_of,
)
from transcodio_site.testing import WAIT_S, Media, Stack
from transcodio_site.tests.test_permissions import OPERATIONS
from transcriptions.api.openapi import EXAMPLE_ID

pytestmark = pytest.mark.django_db

NAMES = [page.name for page in documentation().pages]
URLS = ["/docs/", *(f"/docs/{name}/" for name in NAMES), "/docs/search/?q=token", "/api/docs"]


class Html(HTMLParser):
    """The elements of a page."""

    def __init__(self, response: Any) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(response.content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Store the tag with its attributes."""
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str, attribute: str) -> list[str]:
        """All values of an attribute of an element."""
        return [str(a[attribute]) for t, a in self.tags if t == tag and attribute in a]

    @property
    def ids(self) -> list[str]:
        """All anchors."""
        return [str(attributes["id"]) for _, attributes in self.tags if "id" in attributes]


@pytest.mark.parametrize("url", URLS)
def test_page_is_public_and_cacheable(
    client: Client, url: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):  # nothing in these pages depends on the visitor
        response = client.get(url)
    assert response.status_code == 200
    assert "public" in response["Cache-Control"]
    assert "Vary" not in response
    assert "unsafe-" not in response["Content-Security-Policy"]
    revalidated = client.get(url, headers={"If-None-Match": response["ETag"]})
    assert (revalidated.status_code, revalidated.content) == (304, b"")
    head = client.head(url)
    assert (head.status_code, head["ETag"]) == (200, response["ETag"])


def test_documentation_is_read_only(client: Client) -> None:
    assert client.post("/docs/").status_code == 405
    assert client.delete("/docs/api/").status_code == 405


@pytest.mark.parametrize("url", URLS)
def test_page_is_accessible_html(client: Client, url: str) -> None:
    page = Html(client.get(url))
    names = [tag for tag, _ in page.tags]
    assert page.all("html", "lang") == ["en-us"]
    assert (names.count("h1"), names.count("main")) == (1, 1)
    assert len(page.ids) == len({*page.ids})
    assert "#main" in page.all("a", "href")
    levels = [int(tag[1]) for tag in names if re.fullmatch(r"h\d", tag)]
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert all(attributes.get("alt") for tag, attributes in page.tags if tag == "img")
    assert "style" not in names
    assert not any("style" in attributes for _, attributes in page.tags)
    assert all("src" in attributes for tag, attributes in page.tags if tag == "script")


def test_links_and_anchors_resolve(client: Client) -> None:
    pages = {url: Html(client.get(url)) for url in URLS}
    for url, page in pages.items():
        for target in [*page.all("a", "href"), *page.all("img", "src")]:
            parts = urlsplit(urljoin(url, target))
            if parts.netloc or parts.path == "/":
                continue
            if parts.path not in pages:
                assert client.get(f"{parts.path}?{parts.query}").status_code in (200, 302), target
            elif parts.fragment:
                assert parts.fragment in pages[parts.path].ids, f"{url}: {target}"


def test_signed_in_reader_gets_the_same_page(client: Client, alice: User) -> None:
    visitor = client.get("/docs/api/").content
    client.force_login(alice)
    assert client.get("/docs/api/").content == visitor
    assert b'href="/docs/"' in client.get("/").content


@pytest.mark.parametrize(
    "path", ["nope/", "README/", "..%2fREADME.md", "images/api.md", "images/..%2f..%2fREADME.md"]
)
def test_unknown_page_or_image_is_404(client: Client, path: str) -> None:
    assert client.get(f"/docs/{path}").status_code == 404


def test_images_have_their_type_and_size(client: Client) -> None:
    for name, kind in (("transcript.png", "image/png"), ("architecture.svg", "image/svg+xml")):
        response = client.get(f"/docs/images/{name}")
        assert (response.status_code, response["Content-Type"]) == (200, kind)
    page = client.get("/docs/architecture/").content.decode()
    assert 'src="/docs/images/architecture.svg"' in page
    assert 'width="880" height="570"' in page


def test_current_page_is_marked(client: Client) -> None:
    page = Html(client.get("/docs/webhooks/"))
    marked = [a["href"] for tag, a in page.tags if tag == "a" and a.get("aria-current") == "page"]
    assert marked == ["/docs/webhooks/"]


# --- Search -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "url"),
    [
        ("webhook signature", "/docs/webhooks/#verify-the-signature"),
        ("nginx", "/docs/self-hosting/#nginx"),
        ("STT_ENGINE", "/docs/configuration/#speech-engines"),
        ("cancel", "/docs/api/#cancel-retry-and-delete"),
        ("cancel transcriptions", "/api/docs#cancel_transcription"),
    ],
)
def test_search_finds_the_section(client: Client, query: str, url: str) -> None:
    page = Html(client.get("/docs/search/", {"q": query}))
    assert url in page.all("a", "href")


def test_search_ranks_headings_before_text() -> None:
    entries = [
        Entry("A", "Other", "backup " * 50, "/a"),
        Entry("B", "Backup", "How to save data.", "/b"),
        Entry("C", "Nothing", "", "/c"),
    ]
    assert [result.entry.url for result in search(entries, "backups")] == ["/b", "/a"]


def test_search_requires_all_words() -> None:
    entries = [Entry("A", "Backup", "of the database", "/a"), Entry("B", "Backup", "", "/b")]
    assert [result.entry.url for result in search(entries, "backup database")] == ["/a"]


def test_snippet_marks_matches() -> None:
    (result,) = search([Entry("A", "A", "word " * 40 + "Token, and more.", "/a")], "tokens")
    assert ("Token", True) in result.snippet
    assert result.snippet[0][0].startswith("… word")


def test_search_escapes_and_bounds_the_query(client: Client) -> None:
    content = client.get("/docs/search/", {"q": "<script>alert(1)</script>" + "x" * 500}).content
    assert b"<script>alert" not in content
    assert b"x" * MAX_QUERY_CHARS not in content
    assert len(terms_of("a b c " * 100)) == 3
    assert search([], "a" * 10_000) == []


def test_search_without_results_links_to_pages(client: Client) -> None:
    for query, words in (("", "Enter one or more words"), ("zzz", "No page contains")):
        response = client.get("/docs/search/", {"q": query})
        assert words in response.content.decode()
        assert "/docs/getting-started/" in Html(response).all("a", "href")


def test_search_limits_the_number_of_results(client: Client) -> None:
    page = client.get("/docs/search/", {"q": "recording"}).content.decode()
    assert f"{MAX_RESULTS} results for" in page


# --- API reference ------------------------------------------------------------------------------


def test_reference_has_every_operation(client: Client) -> None:
    text = client.get("/api/docs").content.decode()
    for path, methods in document_of(api)["paths"].items():
        for method in methods.keys() - {"head"}:
            assert f">{method.upper()}</span> <code>{path}</code></h2>" in text


def test_reference_names_the_scope() -> None:
    documented = {operation.name: operation.scope or None for operation in operations_of(api)}
    required = {name: scope and str(scope) for name, scope in OPERATIONS.items()}
    assert documented == {name: required[name] for name in documented}


def test_reference_links_its_schemas(client: Client) -> None:
    page = Html(client.get("/api/docs"))
    names = {target for target in page.all("a", "href") if target.startswith("#schema-")}
    assert len(names) > 5
    assert {name[1:] for name in names} <= set(page.ids)


def test_reference_names_empty_values(client: Client) -> None:
    text = client.get("/api/docs").content.decode()
    assert "<code>transcribe</code>, <code>translate</code> or empty" in text
    assert "<code></code>" not in text


def _order(operation: Any) -> tuple[bool, bool, int]:
    """Deletions come last, that of the recording after those of its parts. Just before them come
    operations that remove speaker names."""
    takes_back = operation.path.endswith(("/undo", "/restore", "/detect"))
    deletes = operation.method == "DELETE"
    return deletes, takes_back and not deletes, -len(operation.path) if deletes else 0


@pytest.mark.slow
def test_curl_commands_of_the_reference_work(stack: Stack, media: Media, tmp_path: Path) -> None:
    token = stack.token("reference@example.com")
    talk = tmp_path / "talk.mp3"
    shutil.copy(media.speech("talk.mp3", 15), talk)
    headers = {"Authorization": f"Bearer {token}"}
    response = httpx.post(
        f"{stack.url}/api/transcribe",
        headers=headers,
        files={"file": talk.read_bytes()},
        data={"diarize": "true"},
        timeout=WAIT_S,
    )
    environment = {"TOKEN": token, "ID": response.json()["id"], "PATH": "/usr/bin:/bin"}
    talk.with_suffix(".srt").write_text(
        f"1\n00:00:00,000 --> 00:00:05,000\n{response.json()['text']}\n"
    )
    commands = [operation for operation in operations_of(api) if operation.curl]
    assert len(commands) > 10
    for operation in sorted(commands, key=_order):
        command = re.sub(r"http://127\.0\.0\.1:\d+", stack.url, operation.curl)
        command = command.replace(EXAMPLE_ID, environment["ID"])
        if "{voice_id}" in command:  # of the speaker who has been named
            voices = httpx.get(f"{stack.url}/api/voices", headers=headers).json()
            command = command.replace("{voice_id}", str(voices[0]["id"]))
        if "{annotation_id}" in command:
            url = f"{stack.url}/api/transcriptions/{environment['ID']}/annotations"
            (annotation, *_) = httpx.get(url, headers=headers).json()
            command = command.replace("{annotation_id}", str(annotation["id"]))
        done = subprocess.run(
            ["bash", "-c", command.replace("curl", "curl -s -w '%{stderr}%{http_code}'", 1)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
        expected: tuple[str, ...] = ("200", "201", "202", "204")
        if operation.path.endswith(("/cancel", "/retry")):
            expected = ("409",)
        elif operation.path.endswith("/captions"):  # this recording was uploaded
            expected = ("200", "204", "409")
        elif operation.path.endswith(("/merge", "/split")):  # there is only one voice
            expected = ("200", "422")
        elif operation.path.endswith(("/edits", "/undo", "/redo")):  # the text is another one
            expected = ("200", "409")
        elif "/uploads" in operation.path:  # this stack has no object storage
            expected = ("202", "404", "409")
        assert done.stderr.endswith(expected), f"{command}\n{done.stderr}{done.stdout}"
