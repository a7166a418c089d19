"""The speakers of a transcript: names, shares of the speech, and changes by mouse and keyboard."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from e2e.conftest import PHONE, OpenPage
from e2e.recognized import email_of
from e2e.test_pages import open_menu, start, stored, wait_for_state
from transcodio_site.testing import Media, Stack

# A talk with a segment of one second for each digit, the number of its speaker (base 36).
CREATE_TALK = """
from accounts.models import User
from transcodio_site.sample import SAMPLE
from transcriptions.models import AudioAnalysis, Segment, Speaker, State, Transcription
from django.core.files import File
from django.utils import timezone
number_of = lambda digit: int(digit, 36)
row = Transcription.objects.create(
    owner=User.objects.get(email="{email}"), title="Talk", source_bytes=1, language="en",
    state=State.COMPLETED, completed_at=timezone.now(), duration=float(len("{speakers}")),
)
for number, speaker in enumerate(map(number_of, "{speakers}"), 1):
    start = number - 1.0
    words = [
        dict(start=start, end=start + 0.5, text="Sentence", speaker=speaker),
        dict(start=start + 0.5, end=number, text=f"{{number}}.", speaker=speaker),
    ]
    Segment.objects.create(
        transcription=row, number=number, start=start, end=number, text=f"Sentence {{number}}.",
        words=words, speaker=speaker,
    )
if {audio}:
    row.source.save("talk.mp3", File(SAMPLE.open("rb")))
    AudioAnalysis.objects.create(transcription=row, peaks=[50] * 100)
for number in sorted(set(map(number_of, "{speakers}"))):
    Speaker.objects.create(transcription=row, number=number)
print(row.id)
"""
STORED_OPTIONS = """
import json
from transcriptions.models import Transcription
print(json.dumps(Transcription.objects.get(id="{id}").stored_options))
"""
# The speakers of a talk of two have changed places, as a detection may find.
SWAP = """
from transcriptions.models import Transcription
row = Transcription.objects.get(id="{id}")
for segment in row.segments.all():
    segment.speaker = 3 - segment.speaker
    segment.words = [word | dict(speaker=segment.speaker) for word in segment.words]
    segment.save()
"""
# The contrast (WCAG 2.2) of each element's text with the background painted under it.
CONTRASTS = """elements => {
  const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (color) => {
    paint.clearRect(0, 0, 1, 1);
    paint.fillStyle = color;
    paint.fillRect(0, 0, 1, 1);
    return [...paint.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => [r, g, b].map((byte) => byte / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    const color = rgb(getComputedStyle(element).backgroundColor);
    return color[3] === 255 ? color : ground(element.parentElement);
  };
  return elements.map((element) => {
    const pair = [rgb(getComputedStyle(element).color), ground(element)].map(luminance);
    return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
  });
}"""


def open_talk(page: Page, stack: Stack, speakers: str, *, audio: bool = False) -> None:
    """Opens a talk of the signed-in user, with a recording if `audio` is set."""
    command = CREATE_TALK.format(email=email_of(page), speakers=speakers, audio=audio)
    page.goto(f"/transcriptions/{stack.shell(command).strip()}/")


def turns(page: Page) -> list[str]:
    """The name of each turn on the page, with the numbers of its segments."""
    found: list[str] = page.eval_on_selector_all(
        "#segments .paragraph",
        """all => all.map((item) => [
             item.querySelector(".turn-speaker")?.textContent,
             ...[...item.querySelectorAll(".segment")].map((segment) => segment.dataset.segment),
           ].filter(Boolean).join(" "))""",
    )
    return found


def open_speakers(page: Page) -> Locator:
    """Opens the list of speakers."""
    if not page.locator("#speaker-list").is_visible():
        page.get_by_role("button", name="Speakers", exact=True).click()
    return speaker_list(page)


def speaker_list(page: Page) -> Locator:
    return page.locator("#speaker-list li button")


def name_of(page: Page, segment: int) -> Locator:
    """The name above a segment."""
    return page.locator(f".paragraph:has([data-segment='{segment}']) .turn-speaker")


def test_names_and_shares_are_shown(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("speakers@example.com")
    open_talk(page, stack, "1121")
    assert turns(page) == ["Speaker 1 1 2", "Speaker 2 3", "Speaker 1 4"]
    rows = open_speakers(page)
    expect(rows).to_have_text([re.compile(r"1\s+Speaker 1\s.*75%", re.DOTALL), re.compile("25%")])
    parts = page.locator(".talk-share span")
    widths = parts.evaluate_all("parts => parts.map((part) => part.getBoundingClientRect().width)")
    assert [width / sum(widths) for width in widths] == pytest.approx([0.75, 0.25], abs=0.01)
    rows.nth(1).click()
    expect(page.locator(".segment:visible")).to_have_text([re.compile("Sentence 3.")])
    expect(rows.nth(1)).to_have_attribute("aria-pressed", "true")
    rows.nth(1).click()
    expect(page.locator(".segment:visible")).to_have_count(4)


def test_rename_changes_all_turns_and_persists(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("rename@example.com", PHONE)
    open_talk(page, stack, "121")
    dialog = page.get_by_role("dialog", name="Speaker 1")
    name_of(page, 3).focus()
    page.keyboard.press("Enter")
    expect(dialog.get_by_label("Name in the whole transcript")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(name_of(page, 3)).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.type("Anna <i>")
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(name_of(page, 3)).to_be_focused()
    assert turns(page) == ["Anna <i> 1", "Speaker 2 2", "Anna <i> 3"]
    expect(speaker_list(page).first).to_contain_text("Anna <i>")
    page.reload()
    assert turns(page) == ["Anna <i> 1", "Speaker 2 2", "Anna <i> 3"]
    name_of(page, 1).click()
    page.get_by_label("Name in the whole transcript").fill("")
    page.keyboard.press("Enter")
    expect(name_of(page, 3)).to_have_text("Speaker 1")
    assert stored(page)["speakers"][0]["name"] is None


@pytest.mark.slow
def test_refused_change_is_shown(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("refused-change@example.com")
    open_talk(page, stack, "12")
    page.route("**/speakers/1", lambda route: route.abort("connectionrefused"))
    page.route("**/speakers/assign", lambda route: route.abort("connectionrefused"))
    name_of(page, 1).click()
    page.get_by_label("Name in the whole transcript").fill("Anna")
    page.get_by_role("button", name="Save").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("alert")).to_have_text("The server cannot be reached.")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Cancel").click()
    assert turns(page) == ["Speaker 1 1", "Speaker 2 2"]
    status = page.locator("transcript-speakers > [role=status]")
    page.keyboard.press("2")  # the name has the focus again
    expect(status).to_have_text("The server cannot be reached.")
    expect(status).to_be_in_viewport()
    page.keyboard.press("7")
    expect(status).to_have_text("There is no speaker 7.")
    assert turns(page) == ["Speaker 1 1", "Speaker 2 2"]


def test_segments_are_reassigned(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("reassign@example.com")
    open_talk(page, stack, "1122")
    page.locator("[data-segment='2']").click()
    with page.expect_response("**/speakers/assign"):
        page.keyboard.press("Alt+2")
    expect(name_of(page, 2)).to_have_text("Speaker 2")
    assert turns(page) == ["Speaker 1 1", "Speaker 2 2 3 4"]
    name_of(page, 1).click()
    page.get_by_label("Assign only this paragraph to").select_option("A new speaker")
    page.locator("[data-assign] button").click()
    expect(name_of(page, 1)).to_have_text("Speaker 3")
    page.reload()
    assert turns(page) == ["Speaker 3 1", "Speaker 2 2 3 4"]
    page.locator("[data-segment='4']").click()
    page.keyboard.press("Alt+3")
    expect(name_of(page, 4)).to_have_text("Speaker 3")
    assert turns(page) == ["Speaker 3 1", "Speaker 2 2 3", "Speaker 3 4"]
    name_of(page, 2).focus()
    page.keyboard.press("3")
    expect(name_of(page, 3)).to_have_text("Speaker 3")
    assert turns(page) == ["Speaker 3 1 2 3 4"]  # the whole paragraph
    expect(name_of(page, 2)).to_be_focused()
    open_speakers(page).nth(2).click()
    page.keyboard.press("Escape")
    name_of(page, 4).focus()
    page.keyboard.press("2")
    expect(page.locator(".segment:visible")).to_have_count(0)
    expect(speaker_list(page).nth(2)).to_be_focused()  # the paragraph is hidden


@pytest.mark.slow
def test_ten_and_more_speakers_are_reached_on_a_narrow_phone(
    sign_up: OpenPage, stack: Stack
) -> None:
    page = sign_up("dozen@example.com", (320, 640))
    open_talk(page, stack, "123456789abc")
    rows = open_speakers(page)
    expect(rows).to_have_count(12)
    for edge in (rows.first.locator(".speaker-number"), rows.first.locator(".speaker-share")):
        expect(edge).to_be_in_viewport(ratio=1)
    rows.last.click()
    expect(page.locator(".segment:visible")).to_have_text([re.compile("Sentence 12.")])
    rows.last.click()
    page.keyboard.press("Escape")
    name_of(page, 3).focus()
    page.keyboard.type("12")
    expect(name_of(page, 3)).to_have_text("Speaker 12")
    page.keyboard.type("1")  # of one digit, after a moment
    expect(name_of(page, 3)).to_have_text("Speaker 1")
    page.keyboard.type("10")
    expect(name_of(page, 3)).to_have_text("Speaker 10")
    page.keyboard.type("13")
    expect(page.get_by_text("There is no speaker 13.")).to_be_visible()
    expect(name_of(page, 3)).to_have_text("Speaker 10")


@pytest.mark.slow
def test_digits_are_text_while_typing(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("digit-keys@example.com")
    open_talk(page, stack, "12")
    second = page.locator("[data-segment='2']")
    second.click()
    page.keyboard.press("End")
    page.keyboard.type(" Room 10")
    page.keyboard.press("1")
    expect(second).to_have_text("Sentence 2. Room 101")
    expect(name_of(page, 2)).to_have_text("Speaker 2")
    assigned: list[str] = []
    page.on("request", lambda request: assigned.append(request.url.rpartition("/")[2]))
    page.keyboard.press("Alt+Numpad3")  # begins the number of a character in Windows
    page.keyboard.press("Alt+Numpad1")
    with page.expect_response("**/speakers/assign"):
        page.keyboard.press("Alt+1")
    expect(name_of(page, 2)).to_have_text("Speaker 1")
    assert assigned.count("assign") == 1
    expect(page.locator("#segments")).to_be_focused()
    segment = stored(page)["segments"][1]
    assert (segment["text"], segment["speaker"]) == ("Sentence 2. Room 101", 1)


@pytest.mark.slow
def test_speakers_are_merged(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("merge-speakers@example.com")
    open_talk(page, stack, "1232")
    name_of(page, 2).click()
    page.get_by_label("Name in the whole transcript").fill("Anna")
    page.keyboard.press("Enter")
    expect(name_of(page, 4)).to_have_text("Anna")
    name_of(page, 4).click()
    page.get_by_label("Is the same person as").select_option("Speaker 3")
    page.get_by_role("button", name="Merge").click()
    expect(speaker_list(page)).to_have_count(2)
    assert turns(page) == ["Speaker 1 1", "Anna 2 3 4"]
    page.reload()
    assert turns(page) == ["Speaker 1 1", "Anna 2 3 4"]
    assert [each["speaker"] for each in stored(page)["segments"]] == [1, 3, 3, 3]


@pytest.mark.slow
def test_live_segments_are_relabeled(sign_up: OpenPage, media: Media) -> None:
    page = sign_up("relabeled@example.com")

    def speak(socket: WebSocketRoute) -> None:
        """The server's events, with a speaker in each segment; then all speakers change places."""

        def forward(message: str | bytes) -> None:
            event = json.loads(message)
            if event["type"] == "progress":
                event["segment"]["speaker"] = 1 + event["id"] % 2
            socket.send(json.dumps(event))
            if event["type"] == "progress" and event["id"] == 3:
                socket.send(json.dumps(relabeled))

        socket.connect_to_server().on_message(forward)

    people: list[dict[str, Any]] = [{"number": 1, "name": "Ada"}, {"number": 2, "name": None}]
    segments: list[dict[str, Any]] = [
        {"id": n, "speaker": 1 if n < 3 else 2, "words": []} for n in (1, 2, 3)
    ]
    relabeled = {"type": "speakers", "id": 3, "speakers": people, "segments": segments}
    page.route_web_socket("**/ws/**", speak)
    start(page, media.speech("relabeled.mp3", 12))
    wait_for_state(page, "completed")
    assert turns(page)[:2] == ["Ada 1 2", "Speaker 2 3"]
    expect(speaker_list(page)).to_have_count(2)


@pytest.mark.slow
def test_name_that_is_being_typed_is_that_of_the_voice_if_numbers_change(
    sign_up: OpenPage, stack: Stack
) -> None:
    page = sign_up("typing@example.com")
    open_talk(page, stack, "1122")
    name_of(page, 3).click()
    page.get_by_label("Name in the whole transcript").fill("Ben")
    stack.shell(SWAP.format(id=page.url.split("/")[-2]))
    event = {
        "speakers": [{"number": number, "name": None} for number in (1, 2)],
        "segments": [{"id": n, "speaker": 2 if n < 3 else 1} for n in range(1, 5)],
    }
    page.locator("live-transcript").evaluate(
        "(page, detail) => page.dispatchEvent(new CustomEvent('speakers-changed', { detail }))",
        event,
    )
    dialog = page.get_by_role("dialog", name="Speaker 1")
    expect(dialog.get_by_label("Name in the whole transcript")).to_have_value("Ben")
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    assert turns(page) == ["Speaker 2 1 2", "Ben 3 4"]
    page.reload()
    assert turns(page) == ["Speaker 2 1 2", "Ben 3 4"]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colors_have_contrast_and_differ(sign_up: OpenPage, stack: Stack, scheme: str) -> None:
    page = sign_up(f"contrast-{scheme}@example.com", PHONE, scheme)
    open_talk(page, stack, "123456789")
    names = page.locator(".turn-speaker")
    colors = names.evaluate_all("all => all.map((each) => getComputedStyle(each).color)")
    assert len(set(colors)) == 8
    assert colors[8] == colors[0]
    open_speakers(page)
    texts = page.locator(".turn-speaker, .timestamp, transcript-speakers li span, .segment")
    assert min(texts.evaluate_all(CONTRASTS)) >= 4.5
    page.locator(".segment").evaluate_all("all => all.map((each) => each.ariaCurrent = 'true')")
    assert min(names.evaluate_all(CONTRASTS)) >= 4.5  # also during playback
    speaker_list(page).first.click()
    assert min(page.locator("transcript-speakers li span").evaluate_all(CONTRASTS)) >= 4.5
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.slow
def test_speakers_are_detected_if_asked_for(sign_up: OpenPage, media: Media, stack: Stack) -> None:
    page = sign_up("interviewer@example.com")
    count = page.locator("upload-box [name=speakers]")
    expect(count).to_be_hidden()
    page.check("upload-box [name=diarize]")
    count.select_option("2")
    start(page, media.two_voices("interview.mp3"))
    wait_for_state(page, "completed")
    expect(speaker_list(page)).to_have_count(2)
    shown = turns(page)
    assert [turn[:9] for turn in shown[:2]] == ["Speaker 1", "Speaker 2"]
    read = STORED_OPTIONS.format(id=page.url.split("/")[-2])
    assert json.loads(stack.shell(read)) == {"diarize": True, "min_speakers": 2, "max_speakers": 2}
    page.reload()
    assert turns(page) == shown
    page.goto("/")
    expect(page.locator("upload-box [name=diarize]")).to_be_checked()
    expect(count).to_have_value("2")


@pytest.mark.slow
def test_speakers_are_detected_later(sign_up: OpenPage, media: Media, stack: Stack) -> None:
    page = sign_up("later@example.com")
    start(page, media.two_voices("later.mp3"))
    wait_for_state(page, "completed")
    texts = page.locator(".segment").all_inner_texts()
    expect(page.locator("transcript-speakers")).to_be_hidden()
    open_menu(page)
    page.get_by_role("button", name="Detect speakers").click()
    dialog = page.get_by_role("dialog", name="Detect speakers")
    dialog.get_by_label("Number of speakers").select_option("2")
    with stack.hold():
        dialog.get_by_role("button", name="Detect speakers").click()
        expect(page.locator("#detection")).to_contain_text("Detecting speakers…")
        page.evaluate("window.isSamePage = true")
    expect(page.locator("transcript-speakers")).to_be_visible()  # without loading the page again
    expect(page.locator("#detection")).to_have_count(0)
    assert page.evaluate("window.isSamePage")
    shown = turns(page)
    assert any(turn.startswith("Speaker 2 ") for turn in shown)
    assert page.locator(".segment").all_inner_texts() == texts
    page.reload()
    assert turns(page) == shown
