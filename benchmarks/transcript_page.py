"""Measure the page of a long transcript: python -m benchmarks.transcript_page [--write]

Four hours of speech by two speakers in a running service, opened in Chromium with a CPU that is
slowed down four times: the time to the first text that can be read and clicked, the time until a
typed character is shown, and frames while the page scrolls. --write writes
benchmarks/results/transcript-page.json.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from playwright.sync_api import CDPSession, Page, sync_playwright

from transcodio_site.supervisor import free_port, is_healthy

ROOT = Path(__file__).parent.parent
RESULT = Path(__file__).parent / "results" / "transcript-page.json"
BROWSERS = ("/usr/bin/chromium-headless-shell", "/usr/bin/chromium")
SLOWDOWN = 4
REPETITIONS, CHARACTERS, SCROLL_S = 5, 40, 3.0
STARTUP_TIMEOUT_S = 120
GOALS = {"opened_ms": 1500, "echo_ms": 50, "frames_per_second": 60, "script_kb": 150}

CREATE = """
import json
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone
from accounts.models import User
from benchmarks.exports import spoken_words
from itertools import groupby
from transcriptions.models import AudioAnalysis, Segment, Speaker, State, Transcription

words = spoken_words(40_000)
scale = 4 * 3600 / words[-1].end
user = User.objects.create_user(email="reader@example.com", password="long enough to be one")
row = Transcription.objects.create(owner=user, title="Four hours", source="none", source_bytes=1,
    language="en", state=State.COMPLETED, completed_at=timezone.now(), duration=4 * 3600.0)
segments = []
for number, (_, sentence) in enumerate(groupby(words, key=lambda word: word.segment), 1):
    sentence = list(sentence)
    speaker = int(sentence[0].speaker[-1])
    stored = [{"start": round(word.start * scale, 3), "end": round(word.end * scale, 3),
               "text": word.text, "probability": 0.3 if index % 25 == 0 else 0.95,
               "speaker": speaker} for index, word in enumerate(sentence)]
    segments.append(Segment(transcription=row, number=number, start=stored[0]["start"],
        end=stored[-1]["end"], text=" ".join(word.text for word in sentence), words=stored,
        speaker=speaker))
Segment.objects.bulk_create(segments, 500)
for number in {segment.speaker for segment in segments}:
    Speaker.objects.create(transcription=row, number=number)
AudioAnalysis.objects.create(transcription=row, peaks=[50] * 800)
session = SessionStore()
session[SESSION_KEY], session[HASH_SESSION_KEY] = str(user.pk), user.get_session_auth_hash()
session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
session.create()
print(json.dumps({"id": str(row.id), "session": session.session_key, "words": len(words),
    "segments": len(segments)}))
"""
# When text could be read, and when all scripts had run.
OPENED = """() => {
  const [paint] = performance.getEntriesByName("first-contentful-paint");
  const [page] = performance.getEntriesByType("navigation");
  return { paint: paint?.startTime ?? 0, scripts: page.domContentLoadedEventEnd };
}"""
# From each key to the frame that shows its character.
ECHO = """() => {
  window.echoes = [];
  const shown = (pressed) => window.echoes.push(performance.now() - pressed);
  document.addEventListener("keydown", ({ timeStamp }) => {
    requestAnimationFrame(() => setTimeout(shown, 0, timeStamp));
  }, true);
}"""
SCROLL = """(seconds) => new Promise((resolve) => {
  const frames = [];
  const start = performance.now();
  const step = (now) => {
    frames.push(now);
    window.scrollBy(0, 60);
    if (now - start < 1000 * seconds) requestAnimationFrame(step);
    else resolve(frames);
  };
  requestAnimationFrame(step);
})"""


def main() -> None:
    """Print the measurements with their goals, and write the JSON if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.transcript_page")
    parser.add_argument("--write", action="store_true", help=f"write {RESULT.name}")
    write = parser.parse_args().write
    with tempfile.TemporaryDirectory(prefix="transcodio-benchmark-") as folder:
        Path(folder).chmod(0o711)
        with _service(Path(folder)) as (url, talk):
            measured = _measure(url, talk)
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, CPU of the browser slowed down "
        f"{SLOWDOWN} times",
        "load": round(os.getloadavg()[0], 1),
        "words": talk["words"],
        "segments": talk["segments"],
        "goals": GOALS,
        **measured,
    }
    print(json.dumps(result, indent=2))
    if write:
        RESULT.write_text(json.dumps(result, indent=2) + "\n")


@contextmanager
def _service(var: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    port = free_port()
    environment = os.environ | {"VAR_DIR": str(var), "RATE_LIMIT_PAGES": "100000/minute"}
    command = [sys.executable, "manage.py", "up", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as service:
        try:
            deadline = time.monotonic() + STARTUP_TIMEOUT_S
            while not is_healthy(url) and time.monotonic() < deadline:
                time.sleep(0.2)
            shell = [sys.executable, "manage.py", "shell", "--command", CREATE]
            done = subprocess.run(
                shell, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True
            )
            yield url, json.loads(done.stdout.splitlines()[-1])
        finally:
            service.terminate()


def _measure(url: str, talk: dict[str, Any]) -> dict[str, Any]:
    with sync_playwright() as playwright:
        program = next(path for path in BROWSERS if Path(path).exists())
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        context = browser.new_context(base_url=url, viewport={"width": 412, "height": 915})
        context.add_cookies([{"name": "sessionid", "value": talk["session"], "url": url}])
        page = context.new_page()
        path = f"/transcriptions/{talk['id']}/"
        page.goto(path)
        cdp = context.new_cdp_session(page)
        cdp.send("Emulation.setCPUThrottlingRate", {"rate": SLOWDOWN})
        result = {
            **_opened(page, path),
            **_work(page, path, cdp),
            **_response(page, path, "page"),
            **_response(page, f"/api{path}words", "words"),
            **_scripts(page),
            **_scrolled(page),
            **_found(page, cdp),
            **_typed(page),
        }
        browser.close()
        return result


def _opened(page: Page, path: str) -> dict[str, Any]:
    """From the click on a link to the first text, and to the end of all scripts."""
    runs = []
    for _ in range(REPETITIONS):
        page.goto(path, wait_until="commit")
        page.wait_for_load_state("networkidle")
        runs.append(page.evaluate(OPENED))
    return {
        "first_paint_ms": round(statistics.median(run["paint"] for run in runs)),
        "opened_ms": round(statistics.median(run["scripts"] for run in runs)),
    }


def _work(page: Page, path: str, cdp: CDPSession) -> dict[str, Any]:
    """The work of the main thread to open the page, in CPU time that is not slowed down: it hardly
    depends on other load on the machine."""
    cdp.send("Performance.enable", {"timeDomain": "threadTicks"})

    def metrics() -> dict[str, float]:
        found = cdp.send("Performance.getMetrics")["metrics"]
        return {metric["name"]: metric["value"] for metric in found}

    page.goto("about:blank")
    before = metrics()
    page.goto(path, wait_until="networkidle")
    after = metrics()
    names = {"TaskDuration": "main_thread", "LayoutDuration": "layout"}
    return {f"{name}_cpu_ms": round(1000 * (after[m] - before[m])) for m, name in names.items()}


def _response(page: Page, path: str, name: str) -> dict[str, Any]:
    """The server's time for the page, on a CPU that is not slowed down."""
    times = []
    for _ in range(REPETITIONS):
        started_at = time.perf_counter()
        body = page.request.get(path).body()
        times.append(time.perf_counter() - started_at)
    return {
        f"{name}_server_ms": round(1000 * statistics.median(times)),
        f"{name}_kb": round(len(body) / 1000),
        f"{name}_gzip_kb": round(len(gzip.compress(body)) / 1000),
    }


def _scripts(page: Page) -> dict[str, Any]:
    """All scripts that the page loads, compressed one by one."""
    urls = page.evaluate(
        "performance.getEntriesByType('resource').map(({ name }) => name)"
        ".filter((name) => name.endsWith('.js'))"
    )
    sizes = [len(gzip.compress(page.request.get(url).body())) for url in set(urls)]
    return {"scripts": len(sizes), "script_kb": round(sum(sizes) / 1000, 1)}


def _scrolled(page: Page) -> dict[str, Any]:
    frames = page.evaluate(SCROLL, SCROLL_S)
    gaps = sorted(after - before for before, after in pairwise(frames))
    return {
        "frames_per_second": round(1000 / statistics.mean(gaps), 1),
        "frame_p95_ms": round(gaps[int(0.95 * len(gaps))], 1),
    }


def _found(page: Page, cdp: CDPSession) -> dict[str, Any]:
    """How long the browser needs to search for a word that does not occur, which reads the whole
    text."""
    times = page.evaluate(
        """() => [1, 2, 3].map(() => {
          const start = performance.now();
          window.find("wordthatisnowhere");
          return performance.now() - start;
        })"""
    )
    return {"find_ms": round(statistics.median(times))}


def _typed(page: Page) -> dict[str, Any]:
    page.evaluate("scrollTo(0, 0)")
    page.evaluate(ECHO)
    segment = page.locator(".segment").nth(5)
    segment.click()
    for _ in range(CHARACTERS):
        page.keyboard.press("x")
        page.wait_for_timeout(60)
    echoes = sorted(page.evaluate("window.echoes"))
    text = segment.text_content() or ""
    if not re.search("x{20}", text):
        raise RuntimeError("nothing was typed")
    return {
        "echo_ms": round(statistics.median(echoes), 1),
        "echo_p95_ms": round(echoes[int(0.95 * len(echoes))], 1),
    }


if __name__ == "__main__":
    main()
