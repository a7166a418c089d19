"""WebVTT read by Chromium in the element `<track>`. No stack is needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from transcriptions.exports.cues import Cue, Line
from transcriptions.exports.options import ExportOptions
from transcriptions.exports.subtitles import visible
from transcriptions.exports.tests.test_readers import DIALOGUE, HOSTILE
from transcriptions.exports.tests.transcripts import cue, word
from transcriptions.exports.webvtt import vtt

ORIGIN = "http://subtitles.test"
HTML = '<!doctype html><video><track default src="/talk.vtt"></video>'
# The cues, with the names in their markup. A track that cannot be loaded is an error.
READ = """
new Promise((resolve, reject) => {
  const track = document.querySelector("track");
  const read = (cue) => {
    const content = document.createElement("p");
    content.append(cue.getCueAsHTML());
    return {
      start: cue.startTime, end: cue.endTime, text: content.textContent,
      voices: [...content.querySelectorAll("span[title]")].map((span) => span.title),
      tags: [...content.querySelectorAll("*")].map((element) => element.localName),
      times: [...content.childNodes].flatMap((each) => [each, ...each.childNodes])
        .filter((each) => each.nodeType === Node.PROCESSING_INSTRUCTION_NODE)
        .map((each) => each.data),
    };
  };
  const finish = () => resolve([...track.track.cues].map(read));
  track.addEventListener("load", finish);
  track.addEventListener("error", () => reject(new Error("the track cannot be loaded")));
  track.track.mode = "hidden";
  if (track.readyState === HTMLTrackElement.LOADED) finish();
})
"""


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Iterator[Page]:
    with chromium.new_context() as context:
        yield context.new_page()


def cues_in_chromium(page: Page, cues: list[Cue], **choices: Any) -> list[dict[str, Any]]:
    """The cues of a file as Chromium reads them."""
    content = vtt(visible(cues), ExportOptions(**choices))
    page.unroute_all()
    page.route(f"{ORIGIN}/", lambda route: route.fulfill(body=HTML, content_type="text/html"))
    page.route(
        f"{ORIGIN}/talk.vtt", lambda route: route.fulfill(body=content, content_type="text/vtt")
    )
    page.goto(f"{ORIGIN}/")
    read: list[dict[str, Any]] = page.evaluate(READ)
    return read


def test_times_lines_and_speakers(page: Page) -> None:
    first, second = cues_in_chromium(page, [DIALOGUE, cue(3600.5, 3601.25, "مرحبا بكم.")])
    assert (first["start"], first["end"]) == (1, 2)
    assert (first["text"], first["voices"]) == ("-Hello.\n-Hi.", ["Ann", "Bob"])
    assert (second["start"], second["end"], second["text"]) == (3600.5, 3601.25, "مرحبا بكم.")


def test_times_of_words(page: Page) -> None:
    words = word(1, 1.5, "One"), word(1.5, 2, "<two>"), word(2.25, 3, "three")
    (timed,) = cues_in_chromium(page, [Cue(1, 4, (Line(words),))], karaoke=True)
    assert timed["text"] == "One <two> three"
    assert timed["times"] == ["00:00:01.500", "00:00:02.250"]


@pytest.mark.covers("attack", "A transcript has commands or structure of WebVTT, in a browser")
def test_hostile_text_stays_text(page: Page) -> None:
    cues = [
        cue(number, number + 1, (text.replace("\n", " "), text))
        for number, text in enumerate(HOSTILE)
    ]
    read = cues_in_chromium(page, cues)
    assert [each["start"] for each in read] == [*range(len(HOSTILE))]
    for each, text in zip(read, HOSTILE, strict=True):
        assert each["tags"] == ["span"]  # of the speaker
        letters = [char for char in text if char.isalnum()]
        assert [char for char in each["text"] if char.isalnum()] == letters
