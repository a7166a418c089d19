"""Static files of a deployed service: collected, hashed, compressed, and kept by browsers."""

from __future__ import annotations

import gzip
import json
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
    folder = tmp_path_factory.mktemp("collected") / "static"
    environment = os.environ | {"STATIC_ROOT": str(folder)}
    command = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=WAIT_S, umask=0o022)
    return folder


@pytest.fixture
def deployed(settings: Any, static_root: Path) -> None:
    """The settings that STATIC_ROOT turns on."""
    backend = "transcodio_site.static_files.HashedStaticFilesStorage"
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": backend}}
    settings.STATIC_ROOT = static_root
    settings.WHITENOISE_USE_FINDERS = settings.WHITENOISE_AUTOREFRESH = False


def test_other_users_can_read_collected_files(static_root: Path) -> None:
    paths = [static_root, *static_root.rglob("*")]
    assert len(paths) > 75
    for path in paths:
        needed = 0o755 if path.is_dir() else 0o644
        assert path.stat().st_mode & needed == needed, path


def static_urls(client: Client, *pages: str) -> set[str]:
    found: set[str] = set()
    for page in pages:
        response = client.get(page)
        assert response.status_code == 200, page
        found |= set(re.findall(r'"(/static/[^"]+)"', response.content.decode()))
    return found


def completed_recording(owner: User) -> Transcription:
    return Transcription.objects.create(
        owner=owner,
        title="Talk",
        source="none",
        source_bytes=1,
        state=State.COMPLETED,
        completed_at=timezone.now(),
    )


def test_pages_use_files_that_browsers_keep_for_a_year(deployed: None, alice: User) -> None:
    client = Client()
    client.force_login(alice)
    transcript = f"/transcriptions/{completed_recording(alice).id}/"
    pages = ("/", "/record/", "/settings/tokens/", "/docs/", "/offline/", transcript)
    urls = static_urls(client, *pages) | static_urls(Client(), "/accounts/login/")
    assert len(urls) > 75
    for url in urls:
        response = client.get(url, headers={"Accept-Encoding": "gzip, br"})
        assert HASHED.search(url), url
        assert response.status_code == 200, url
        age = re.search(r"max-age=(\d+), public, immutable", response["Cache-Control"])
        assert age, response["Cache-Control"]
        assert int(age[1]) >= YEAR_S
        if not url.endswith(".png"):  # which is compressed already
            assert response["Content-Encoding"] == "br", url
        assert b"".join(response).strip()


def scripts_of(html: str) -> set[Path]:
    """The scripts that a page names."""
    urls = re.findall(r'<(?:script [^>]*src|link rel="modulepreload" href)="([^"]+)"', html)
    return {ROOT / url.lstrip("/") for url in urls}


def test_page_of_a_transcript_loads_few_scripts(alice: User) -> None:
    client = Client()
    client.force_login(alice)
    row = completed_recording(alice)
    scripts = scripts_of(client.get(f"/transcriptions/{row.id}/").content.decode())
    assert ROOT / "static/js/paragraphs.js" in scripts
    assert ROOT / "static/vendor/htmx.min.js" not in scripts
    assert sum(len(gzip.compress(path.read_bytes())) for path in scripts) < MAX_SCRIPT_BYTES


def test_pages_request_all_modules_at_once(alice: User) -> None:
    client = Client()
    client.force_login(alice)
    row = Transcription.objects.create(owner=alice, source="none", source_bytes=1)
    fixed = ("/", "/record/", "/docs/", "/settings/tokens/", "/offline/")
    for path in (*fixed, f"/transcriptions/{row.id}/"):
        scripts = scripts_of(client.get(path).content.decode())
        imports = {
            (script.parent / target).resolve()
            for script in scripts
            for target in re.findall(r'(?:from|import) "(\.[^"]+)"', script.read_text())
        }
        assert scripts
        assert imports <= scripts, path


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


IMPORT = re.compile(r'^(?:import|export|\}).*?"(\./[^"]+)";$', re.MULTILINE)


def test_modules_import_the_files_that_pages_load(static_root: Path) -> None:
    """Under another name the browser would run the same module twice."""
    names = json.loads((static_root / "staticfiles.json").read_text())["paths"]
    current = {name for path, name in names.items() if path.startswith("js/")}
    imported = {
        f"js/{target.removeprefix('./')}"
        for name in current
        for target in IMPORT.findall((static_root / name).read_text())
    }
    assert len(imported) > 20
    assert imported <= current


def test_service_worker_caches_hashed_files(deployed: None, static_root: Path, db: None) -> None:
    script = Client().get("/service-worker.js").content.decode()
    files = set(re.findall(r'"(/static/[^"]+)"', script))
    assert all(HASHED.search(url) for url in files)
    for url in [url for url in files if url.endswith(".js") and "service-worker" not in url]:
        text = (static_root / url.removeprefix("/static/")).read_text()
        assert {f"/static/js/{name.removeprefix('./')}" for name in IMPORT.findall(text)} <= files


@pytest.mark.slow
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


def test_sources_are_revalidated_each_time(db: None) -> None:
    """A page of a new release would otherwise run modules of the previous one."""
    response = Client().get("/static/js/text.js")
    assert response["Cache-Control"] == "max-age=0, public"
    unchanged = {"If-Modified-Since": response["Last-Modified"]}
    assert Client().get("/static/js/text.js", headers=unchanged).status_code == 304
