"""The speakers of a transcript on its page."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from transcriptions.library.tests.test_library import recording
from transcriptions.models import Segment, Speaker, State, Transcription

pytestmark = pytest.mark.django_db(transaction=True)


def talk(owner: User, speakers: str, **fields: Any) -> Transcription:
    """A recording with a segment for each digit, the number of its speaker; 0: unknown."""
    row = recording(owner, "Talk", **{"state": State.COMPLETED} | fields)
    for number, digit in enumerate(speakers, 1):
        text, speaker = f"Sentence {number}.", int(digit) or None
        times = {"start": number - 1, "end": number}
        Segment.objects.create(
            transcription=row, number=number, text=text, speaker=speaker, **times
        )
    return row


def turns(html: str) -> list[tuple[str, str]]:
    """For each paragraph the number of its speaker, and the label if a turn begins."""
    text = html.partition('<template id="paragraph-template"')[0]
    items = re.findall(r'<section class="paragraph".*?</section>', text, re.DOTALL)
    return [
        (found(r'data-speaker="(\d+)"', item), found(r'"turn-speaker"[^>]*>(.+?)</button>', item))
        for item in items
    ]


def found(pattern: str, html: str) -> str:
    match = re.search(pattern, html)
    return match[1] if match else ""


def listed(html: str) -> list[str]:
    """The labels in the list of speakers."""
    rows = html.split("<transcript-speakers", 1)[1].split("</ul>", 1)[0]
    return re.findall(r'class="speaker-name" dir="auto">(.+?)<', rows)


def test_name_is_shown_where_a_turn_begins(alice: User, browser: Client) -> None:
    row = talk(alice, "112011")
    Segment.objects.filter(transcription=row, number=5).update(text="A long sentence. " * 30)
    Speaker.objects.create(transcription=row, number=1, name="Anna <b>")
    Speaker.objects.create(transcription=row, number=2)
    html = browser.get(f"/transcriptions/{row.id}/").content.decode()
    assert turns(html) == [
        ("1", "Anna &lt;b&gt;"),
        ("2", "Speaker 2"),
        ("", ""),
        ("1", "Anna &lt;b&gt;"),
        ("1", ""),
    ]
    assert listed(html) == ["Anna &lt;b&gt;", "Speaker 2"]


def test_speakers_without_rows_are_listed_during_transcription(
    alice: User, browser: Client
) -> None:
    row = talk(alice, "21", state=State.TRANSCRIBING, lease=uuid.uuid4())
    html = browser.get(f"/transcriptions/{row.id}/").content.decode()
    assert listed(html) == ["Speaker 1", "Speaker 2"]


def test_page_without_speakers_shows_no_list(alice: User, browser: Client) -> None:
    row = talk(alice, "00")
    html = browser.get(f"/transcriptions/{row.id}/").content.decode()
    assert re.search(r"<transcript-speakers [^>]* hidden", html)
    assert listed(html) == []
    assert turns(html) == [("", "")]


def test_recordings_are_recognized_again_with_speakers(
    browser: Client, finished: Transcription
) -> None:
    url = f"/transcriptions/{finished.id}/recognize/"
    for posted, asked in (
        ({"diarize": "true", "speakers": "3"}, (True, 3, 3)),
        ({"diarize": "true", "speakers": ""}, (True, None, None)),
        ({"diarize": "true", "speakers": "11"}, (True, None, None)),
        ({"speakers": "3"}, (False, None, None)),
    ):
        response = browser.post(url, {"language": "", **posted})
        options = Transcription.objects.get(id=response["Location"].split("/")[-2]).options
        assert (options.diarize, options.min_speakers, options.max_speakers) == asked


def test_speakers_of_before_are_offered_again(browser: Client, finished: Transcription) -> None:
    options = {"diarize": True, "min_speakers": 2, "max_speakers": 2}
    Transcription.objects.update(stored_options=options)
    html = browser.get(f"/transcriptions/{finished.id}/").content.decode()
    assert re.search(r'<input name="diarize"[^>]* checked>', html)
    assert '<option value="2" selected>2 speakers</option>' in html
    assert '<option value="1">1 speaker</option>' in html
    assert not re.search(r'name="diarize"[^>]* checked', browser.get("/").content.decode())
