"""Static files of a deployed service: collected, hashed, compressed, and kept by browsers."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from transcodio_site.testing import ROOT, WAIT_S
from transcriptions.models import State, Transcription

MAX_SCRIPT_BYTES = 150_000  # compressed, on the largest page
YEAR_S = 365 * 24 * 3600
HASHED = re.compile(r"\.[0-9a-f]{12}\.\w+$")


@pytest.fixture(scope="module")
def static_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of `collectstatic`."""
    folder = tmp_path_factory.mktemp("collected")
    environment = os.environ | {"STATIC_ROOT": str(folder)}
    command = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=WAIT_S)
    return folder


@pytest.fixture
def deployed(settings: Any, static_root: Path) -> None:
    """The settings that STATIC_ROOT turns on."""
    backend = "transcodio_site.static_files.HashedStaticFilesStorage"
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": backend}}
    settings.STATIC_ROOT = static_root
    settings.WHITENOISE_USE_FINDERS = settings.WHITENOISE_AUTOREFRESH = False


def static_urls(client: Client, *pages: str) -> set[str]:
    found: set[str] = set()
    for page in pages:
        found |= set(re.findall(r'"(/static/[^"]+)"', client.get(page).content.decode()))
    return found


def test_pages_use_files_that_browsers_keep_for_a_year(deployed: None, alice: User) -> None:
    client = Client()
    client.force_login(alice)
    urls = static_urls(client, "/", "/accounts/login/", "/account/tokens/", "/docs/")
    assert len(urls) > 5
    for url in urls:
        response = client.get(url, headers={"Accept-Encoding": "gzip, br"})
        assert HASHED.search(url), url
        assert response.status_code == 200, url
        age = re.search(r"max-age=(\d+), public, immutable", response["Cache-Control"])
        assert age, response["Cache-Control"]
        assert int(age[1]) >= YEAR_S
        assert response["Content-Encoding"] == "br", url
        assert b"".join(response).strip()


def scripts_of(html: str) -> set[Path]:
    """The scripts that a page loads, with all that they import."""
    found, waiting = (
        set[Path](),
        [ROOT / url.lstrip("/") for url in re.findall(r'<script [^>]*src="([^"]+)"', html)],
    )
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            imports = re.findall(
                r'^(?:import|export) .*"(\.[^"]+)";$', path.read_text(), re.MULTILINE
            )
            imports += re.findall(r'^} from "(\.[^"]+)";$', path.read_text(), re.MULTILINE)
            waiting += [(path.parent / target).resolve() for target in imports]
    return found


def test_page_of_a_transcript_loads_few_scripts(alice: User) -> None:
    client = Client()
    client.force_login(alice)
    row = Transcription.objects.create(
        owner=alice,
        title="Talk",
        source="none",
        source_bytes=1,
        state=State.COMPLETED,
        completed_at=timezone.now(),
    )
    scripts = scripts_of(client.get(f"/transcriptions/{row.id}/").content.decode())
    assert ROOT / "static/js/paragraphs.js" in scripts
    assert ROOT / "static/vendor/htmx.min.js" not in scripts
    assert sum(len(gzip.compress(path.read_bytes())) for path in scripts) < MAX_SCRIPT_BYTES


def test_gzip_is_used_without_brotli(deployed: None, db: None) -> None:
    (url,) = [url for url in static_urls(Client(), "/") if "/base." in url]
    assert Client().get(url, headers={"Accept-Encoding": "gzip"})["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in Client().get(url)


def test_modules_import_hashed_modules(static_root: Path) -> None:
    modules = [path for path in (static_root / "js").glob("*.js") if HASHED.search(path.name)]
    imports = [
        (path, target)
        for path in modules
        for target in re.findall(r'^import .*from "(.+)"', path.read_text(), re.MULTILINE)
    ]
    assert len(imports) > 5
    for path, target in imports:
        assert HASHED.search(target)
        assert (path.parent / target).is_file(), target


def test_web_server_without_collected_files_does_not_start(tmp_path: Path) -> None:
    environment = os.environ | {"STATIC_ROOT": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "transcodio_site.server"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"Transcodio cannot start: There are no static files in STATIC_ROOT={tmp_path}. "
        "Run: manage.py collectstatic --noinput"
    ]


def test_sources_need_no_collecting(settings: Any, db: None) -> None:
    assert settings.WHITENOISE_USE_FINDERS
    assert "/static/css/base.css" in static_urls(Client(), "/")
