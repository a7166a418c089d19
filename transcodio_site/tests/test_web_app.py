"""The installed app: manifest, service worker, offline page, and what a browser may keep."""

from __future__ import annotations

import json
import re
import uuid
from io import BytesIO
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from PIL import Image

from accounts.models import User
from transcodio_site.testing import ROOT
from transcodio_site.web_app import SHELL
from transcriptions.models import Transcription

pytestmark = pytest.mark.django_db
IMPORT = re.compile(r'^import .*?"\./(.+)";$', re.MULTILINE)


def body(response: Any) -> bytes:
    return b"".join(response) if response.streaming else response.content


def worker_options(client: Client) -> dict[str, Any]:
    script = client.get("/service-worker.js").content.decode()
    options: dict[str, Any] = json.loads(script[script.index("start(") + 6 : -3])
    return options


def test_manifest_makes_the_site_installable(client: Client) -> None:
    page = client.get("/docs/").content.decode()
    assert '<link rel="manifest" href="/manifest.webmanifest">' in page
    response = client.get("/manifest.webmanifest")
    assert response["Content-Type"] == "application/manifest+json"
    manifest = response.json()
    assert (manifest["start_url"], manifest["display"]) == ("/", "standalone")
    names = [shortcut["name"] for shortcut in manifest["shortcuts"]]
    assert names[:3] == ["Upload", "Record", "Library"]
    assert {"any", "maskable"} == {icon["purpose"] for icon in manifest["icons"]}


def test_files_can_be_shared_with_the_app(alice: User, client: Client) -> None:
    target = client.get("/manifest.webmanifest").json()["share_target"]
    worker = worker_options(client)
    assert (target["action"], target["params"]["files"][0]["name"]) == (
        worker["share"],
        worker["shared"],
    )
    assert client.get("/share/")["Location"] == "/accounts/login/?next=%2F"
    client.force_login(alice)
    response = client.get("/share/", follow=True)
    assert response.redirect_chain == [("/", 303)]
    assert b"could not be received" not in response.content


def test_shared_file_without_a_service_worker_is_explained(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)  # the operating system's form has no token
    client.force_login(alice)
    response = client.post("/share/", {"file": BytesIO(b"audio")}, follow=True)
    assert b"could not be received. Choose it here" in response.content
    assert not Transcription.objects.exists()


def test_icons_have_the_size_that_the_manifest_names(client: Client) -> None:
    icons = [i for i in client.get("/manifest.webmanifest").json()["icons"] if i["sizes"] != "any"]
    assert {icon["sizes"] for icon in icons} == {"192x192", "512x512"}
    for icon in icons:
        image = Image.open(BytesIO(body(client.get(icon["src"]))))
        assert f"{image.width}x{image.height}" == icon["sizes"]
        corner = image.convert("RGBA").getpixel((0, 0))
        assert isinstance(corner, tuple)
        assert (corner[3] == 255) is (icon["purpose"] == "maskable")  # round, unless cut elsewhere


def test_service_worker_may_serve_the_whole_site(client: Client) -> None:
    response = client.get("/service-worker.js")
    assert response["Content-Type"].startswith("text/javascript")
    assert response["Cache-Control"] == "public, no-cache"
    assert worker_options(client)["signOut"] == "/accounts/logout/"


def test_service_worker_caches_all_that_the_offline_page_loads(client: Client) -> None:
    files = set(worker_options(client)["files"])
    page = client.get("/offline/").content.decode()
    loaded = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page))
    for name in [name for name in SHELL if name.endswith(".js")]:
        loaded |= {f"/static/js/{target}" for target in IMPORT.findall(read(name))}
    assert len(loaded) > 5
    assert loaded | {"/offline/"} == files
    for url in files:
        assert client.get(url).status_code == 200


def read(name: str) -> str:
    return (ROOT / "static" / name).read_text()


def test_service_worker_changes_with_every_file_that_it_caches(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    before = worker_options(client)["version"]
    assert worker_options(client)["version"] == before
    changed = tmp_path / "text.js"
    changed.write_text(read("js/text.js") + "\n")
    find = finders.find
    monkeypatch.setattr(
        finders, "find", lambda name: changed if name == "js/text.js" else find(name)
    )
    assert worker_options(client)["version"] != before


def test_offline_page_is_the_same_for_everybody(alice: User, client: Client) -> None:
    visitor = client.get("/offline/").content
    client.force_login(alice)
    assert client.get("/offline/").content == visitor
    assert b'name="account"' not in visitor


@pytest.mark.parametrize("url", ["/", "/settings/data/", "/no-such-page"])
def test_pages_say_whose_they_are(alice: User, url: str) -> None:
    client = Client()
    if url != "/settings/data/":
        assert b'<meta name="account" content="">' in client.get(url).content
    client.force_login(alice)
    assert f'<meta name="account" content="{alice.pk}">' in client.get(url).content.decode()


@pytest.mark.covers("attack", "Ids of recordings are guessed to find out which ones exist")
def test_state_names_own_recordings_only(alice: User, bob: User) -> None:
    own, other = (Transcription.objects.create(owner=u, source_bytes=1) for u in (alice, bob))
    url = f"/offline/state/?ids={own.id},{other.id},{uuid.uuid4()},nonsense"
    client = Client()
    assert client.get(url).json() == {"account": "", "existing": []}
    client.force_login(alice)
    response = client.get(url)
    assert response.json() == {"account": str(alice.pk), "existing": [str(own.id)]}
    assert "no-store" in response["Cache-Control"]
