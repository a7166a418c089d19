"""A speaker who is really two people is split."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from e2e.conftest import OpenPage
from e2e.test_speakers import name_of, open_talk, speaker_list, turns
from transcodio_site.testing import Media, Stack
from transcodio_site.testing_media import CHANGES_S

# Three segments in each turn of the conversation, all of them by the first speaker.
TWO_VOICES = """
from itertools import pairwise
from django.core.files import File
from transcriptions.models import AudioAnalysis, Transcription
row = Transcription.objects.get(id="{id}")
with open("{path}", "rb") as file:
    row.source.save("talk.mp3", File(file))
row.duration = 44.0
row.save(update_fields=["duration"])
AudioAnalysis.objects.create(transcription=row, peaks=[50] * 100)
turns = list(pairwise({edges}))
for segment in row.segments.all():
    first, last = turns[(segment.number - 1) // 3]
    third, part = (last - first) / 3, (segment.number - 1) % 3
    segment.start, segment.end = first + part * third, first + (part + 1) * third
    word = dict(start=segment.start, end=segment.end, text=segment.text, speaker=1)
    segment.words = [word]
    segment.save()
"""
EDGES = (0.0, *CHANGES_S, 40.0)


@pytest.mark.slow
def test_voices_are_compared_and_the_speaker_is_split(
    sign_up: OpenPage, stack: Stack, media: Media
) -> None:
    page = sign_up("split@example.com")
    open_talk(page, stack, "1" * 12)
    path = media.two_voices("split.mp3")
    row = page.url.rstrip("/").rsplit("/", 1)[-1]
    stack.shell(TWO_VOICES.format(id=row, path=path, edges=EDGES))
    page.reload()
    expect(page.locator("transcript-speakers:defined")).to_be_attached()
    name_of(page, 1).click()
    page.get_by_role("button", name="Compare").click()
    dialog = page.get_by_role("dialog", name="Is Speaker 1 two people?")
    split = dialog.get_by_role("button", name="Split")
    expect(split).to_be_disabled()
    expect(split).to_be_enabled(timeout=60_000)
    expect(dialog.get_by_role("heading", level=3)).to_have_text(["Speaker 1", "A new speaker"])
    expect(dialog.locator("section p")).to_have_text(["6 segments, 0:21", "6 segments, 0:18"])
    expect(dialog.locator("[data-unclear]")).to_be_hidden()
    dialog.get_by_role("button", name="Play from 0:09").click()
    split.click()
    expect(speaker_list(page)).to_have_count(2)
    expect(dialog).to_be_hidden()
    expect(name_of(page, 1)).to_be_focused()
    assert turns(page) == [
        "Speaker 1 1 2 3",
        "Speaker 2 4 5 6",
        "Speaker 1 7 8 9",
        "Speaker 2 10 11 12",
    ]
    page.get_by_role("button", name="Undo").click()
    expect(speaker_list(page)).to_have_count(1)
