"""An imported text replaces that of a transcript, in one transaction."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connections

from gpu.types import Complete, Metadata
from transcriptions.editing import imports, text_files
from transcriptions.editing.imported import ImportRefused
from transcriptions.editing.imports import import_text
from transcriptions.editing.placing import Placement
from transcriptions.editing.service import correct
from transcriptions.exceptions import WrongState
from transcriptions.indexing.search import parse
from transcriptions.models import SearchEntry, Segment, State, Transcription
from transcriptions.processing import lifecycle
from transcriptions.testing import set_state, texts

pytestmark = pytest.mark.django_db(transaction=True)

TEXT = "Sentence 1. Sentence two. A new one. Sentence 3. Sentence 4. Sentence 5."


def load(row: Transcription, text: str, *, force: bool = False) -> Placement:
    return import_text(row, text_files.read(text.encode()), force)


@pytest.fixture
def spoken(finished: Transcription) -> Transcription:
    """Five sentences of two words each, one per second."""
    for segment in finished.segments.all():
        start = segment.start
        segment.words = [
            {"start": start, "end": start + 0.4, "text": "Sentence", "probability": 0.9},
            {"start": start + 0.4, "end": start + 0.9, "text": f"{segment.number}."},
        ]
        segment.decoding = {"avg_logprob": -0.1}
        segment.save()
    return finished


def test_text_is_aligned_to_what_was_heard(spoken: Transcription) -> None:
    result = load(spoken, TEXT)
    assert (result.matched, result.replaced, result.added, result.removed) == (9, 1, 3, 0)
    assert " ".join(texts(spoken)) == TEXT
    first, second, third, *_ = spoken.segments.all()
    assert [word["start"] for word in first.words] == [0.0, 0.4]
    assert first.words[0]["probability"] == 0.9
    assert (second.text, second.words[1]["start"]) == ("Sentence two.", 1.4)
    assert (third.text, third.start) == ("A new one.", 1.6)  # they share the time of "2."
    assert [s.number for s in spoken.segments.all()] == [1, 2, 3, 4, 5, 6]


def test_words_keep_their_speakers_and_segments_end_where_they_change(
    spoken: Transcription,
) -> None:
    for segment in spoken.segments.all():
        words = [word | {"speaker": 1 + (segment.number > 2)} for word in segment.words]
        Segment.objects.filter(id=segment.id).update(words=words)
    load(spoken, TEXT.replace(".", ","))
    known = [(segment.text, segment.speaker) for segment in spoken.segments.all()]
    assert known == [
        ("Sentence 1, Sentence two, A new one,", 1),
        ("Sentence 3, Sentence 4, Sentence 5,", 2),
    ]


def test_what_the_decoder_knows_stays_with_unchanged_segments(spoken: Transcription) -> None:
    load(spoken, TEXT)
    known = [segment.decoding is not None for segment in spoken.segments.all()]
    assert known == [True, False, False, True, True, True]


def test_what_was_recognized_is_remembered(spoken: Transcription) -> None:
    load(spoken, TEXT)
    recognized = [segment.recognized for segment in spoken.segments.all()]
    assert [r and [word["text"] for word in r] for r in recognized] == [
        *(None, ["Sentence", "2."], []),
        *(None, None, None),
    ]
    load(spoken, "Sentence 1. Sentence 2. Sentence 3. Sentence 4. Sentence 5.")
    assert [segment.recognized for segment in spoken.segments.all()] == [None] * 5


def test_import_after_a_correction_uses_the_times_of_the_words_that_were_heard(
    spoken: Transcription,
) -> None:
    correct(spoken, 2, "Something else entirely that is long.")
    load(spoken, "Sentence 1. Sentence 2. Sentence 3. Sentence 4. Sentence 5.")
    second = spoken.segments.get(number=2)
    assert [word["start"] for word in second.words] == [1.0, 1.4]
    assert second.recognized is None


def test_same_import_twice_changes_nothing(spoken: Transcription) -> None:
    def stored() -> list[Any]:
        return list(spoken.segments.values("number", "start", "end", "text", "words", "recognized"))

    load(spoken, TEXT)
    once = stored()
    load(spoken, TEXT)
    assert stored() == once


def test_search_finds_the_new_text_only(spoken: Transcription) -> None:
    load(spoken, "Sentence 1. Sentence 2. Sentence 3. Umbrella 4.")
    rows = Transcription.objects.all()
    assert rows.filter(*parse(rows, "umbrella").conditions()).exists()
    assert not rows.filter(*parse(rows, "5").conditions()).exists()
    numbers = SearchEntry.objects.filter(transcription=spoken).values_list("number", flat=True)
    assert sorted(numbers) == [0, *range(1, spoken.segment_count + 1)]


@pytest.mark.covers("attack", "The subtitles of another recording are imported")
def test_other_text_is_refused_unless_forced(spoken: Transcription) -> None:
    before = texts(spoken)
    other = "It was a bright cold day in April, and the clocks were striking thirteen."
    with pytest.raises(ImportRefused, match="Only 0% of the words") as refused:
        load(spoken, other)
    assert refused.value.code == "different_text"
    assert texts(spoken) == before
    load(spoken, other, force=True)
    assert spoken.text == other


def test_subtitles_may_end_a_little_later_than_the_recording(spoken: Transcription) -> None:
    srt = "1\n00:00:00,000 --> 00:00:{},000\nSentence 1 sentence 2 sentence 3 sentence 4\n"
    load(spoken, srt.format(14))  # the recording has ten seconds
    assert max(segment.end for segment in spoken.segments.all()) <= 10.0
    with pytest.raises(ImportRefused, match=r"Line 2: it ends at 0:16, but .* is 0:10 long"):
        load(spoken, srt.format(16), force=True)


@pytest.mark.covers("attack", "A text with far more words than anyone could have said is imported")
def test_far_too_long_text_is_refused(
    spoken: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "MAX_WORDS", 12)
    for text in ("a " * 13, "a" * (imports.MAX_CHARACTERS + 1)):
        with pytest.raises(ImportRefused, match="more than 12 words"):
            load(spoken, text, force=True)


@pytest.mark.parametrize("state", [State.TRANSCRIBING, State.QUEUED])
def test_text_of_a_recording_that_is_processed_cannot_be_replaced(
    spoken: Transcription, state: State
) -> None:
    set_state(state)
    with pytest.raises(WrongState, match="after processing has finished"):
        load(spoken, TEXT)


def test_failed_recording_without_text_has_none_to_replace(spoken: Transcription) -> None:
    spoken.segments.all().delete()
    set_state(State.FAILED)
    with pytest.raises(WrongState, match="no transcript"):
        load(spoken, TEXT)


def test_recording_without_speech_takes_any_text(prepared: Transcription) -> None:
    row = lifecycle.claim(prepared.id, State.TRANSCRIBING)
    assert row
    lifecycle.mark_started(row, "scripted", Metadata("en", "m"))
    lifecycle.mark_completed(row, Complete(10.0, 1.0))
    load(row, "Two words.")
    assert texts(row) == ["Two words."]


@pytest.mark.covers("fault", "A text is imported twice at the same time")
def test_concurrent_imports_leave_one_of_both(spoken: Transcription) -> None:
    def run(text: str) -> None:
        load(spoken, text, force=True)
        connections.close_all()

    both = [TEXT, TEXT.replace("two", "zwei")]
    threads = [threading.Thread(target=run, args=(text,)) for text in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert " ".join(texts(spoken)) in both
    assert Segment.objects.count() == 6
