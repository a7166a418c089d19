"""A page of another site that has only an API token."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright

from e2e.conftest import OpenContext
from e2e.recorder import SPOKEN, browser_with_microphone
from transcodio_site.testing import ROOT, Media, Stack

SCRIPT = """
async ([api, key, bytes]) => {
  const headers = {Authorization: `Bearer ${key}`, "Idempotency-Key": "once"};
  const body = new FormData();
  body.append("file", new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], "talk.mp3"));
  const created = await fetch(`${api}/transcriptions`, {method: "POST", headers, body});
  const recording = api + created.headers.get("Location").replace("/api", "");
  const answer = await fetch(`${recording}/read-token`, {method: "POST", headers});
  const {token} = await answer.json();
  const texts = [];
  await new Promise((resolve, reject) => {
    const events = new EventSource(`${recording}/events?token=${token}`);
    events.addEventListener("progress", (e) => texts.push(JSON.parse(e.data).segment.text));
    events.addEventListener("complete", () => (events.close(), resolve()));
    events.onerror = reject;
  });
  const audio = document.createElement("audio");
  audio.src = `${recording}/audio?token=${token}`;
  await new Promise((resolve, reject) => {
    audio.onloadedmetadata = resolve;
    audio.onerror = () => reject(audio.error.message);
  });
  return [texts.join(" "), audio.duration];
}
"""


# Resolves to the text as soon as it contains the spoken words.
SPEAK = """
async ([secret, spoken]) => {
  EXAMPLE
  let stop;
  const text = await new Promise((done) => {
    stop = listen(secret, (text) => text.includes(spoken) && done(text));
  });
  (await stop)();
  return text;
}
"""


@pytest.fixture(scope="module")
def chromium(playwright: Playwright, media: Media) -> Iterator[Browser]:
    with browser_with_microphone(playwright, media) as browser:
        yield browser


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[str]:
    """The URL of an empty page on another origin."""
    (tmp_path / "index.html").write_text("<!doctype html><title>Elsewhere</title>")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_page_elsewhere_uploads_follows_and_plays(
    open_context: OpenContext, stack: Stack, media: Media, elsewhere: str
) -> None:
    page: Page = open_context().new_page()
    page.goto(elsewhere)
    recording = base64.b64encode(media.speech("short.mp3", 6).read_bytes()).decode()
    key = stack.token("elsewhere@example.com")
    text, duration = page.evaluate(SCRIPT, [f"{stack.url}/api", key, recording])
    assert "walking along the harbor" in text
    assert duration == pytest.approx(6, abs=0.2)


@pytest.mark.slow
def test_example_of_the_documentation_shows_what_is_said(
    open_context: OpenContext, stack: Stack, elsewhere: str
) -> None:
    guide = (ROOT / "docs" / "live.md").read_text()
    example = guide.partition("## In a browser")[2].partition("```js")[2].partition("```")[0]
    example = example.replace("ws://127.0.0.1:8000", stack.url.replace("http", "ws", 1))
    page = open_context(permissions=["microphone"]).new_page()
    page.goto(elsewhere)
    headers = {"Authorization": f"Bearer {stack.token('elsewhere-live@example.com')}"}
    path = f"{stack.url}/v1/realtime/client_secrets"
    secret = page.request.post(path, headers=headers, data={}).json()["value"]
    text = page.evaluate(SPEAK.replace("EXAMPLE", example), [secret, SPOKEN])
    assert SPOKEN in text
