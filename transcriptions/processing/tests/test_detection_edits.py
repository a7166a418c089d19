"""What people change while speakers are detected is kept when the detection ends."""

from __future__ import annotations

import pytest

from gpu.diarization.types import Diarization, Turn
from transcriptions.editing.log import names_of, undo
from transcriptions.editing.service import correct
from transcriptions.editing.speakers import (
    Part,
    assign,
    merge_speakers,
    name_speaker,
    split_speaker,
)
from transcriptions.models import Transcription
from transcriptions.processing import commands
from transcriptions.processing.tests.detecting import work
from transcriptions.processing.tests.diarizers import ScriptedDiarizer
from transcriptions.processing.tests.test_diarizing import speakers

pytestmark = pytest.mark.django_db(transaction=True)

SWAPPED = (Turn(0.0, 2.0, 2), Turn(2.0, 10.0, 1))


@pytest.fixture
def row(complete: Transcription, diarizer: ScriptedDiarizer) -> Transcription:
    """Five sentences: two by Anna, three by Ben. The next detection finds the same voices, with
    other numbers."""
    commands.detect_speakers(complete)
    assert work()
    name_speaker(complete, 1, "Anna")
    name_speaker(complete, 2, "Ben")
    diarizer.results = [Diarization(SWAPPED, 10.0, is_final=True)]
    return complete


def said(row: Transcription) -> list[str]:
    """The names of the speakers of the segments."""
    names = names_of(row)
    return [names[str(number)] for number in speakers(row)]


def detect(row: Transcription) -> None:
    commands.detect_speakers(row)
    assert work()


def test_sentence_keeps_the_speaker_that_it_was_given(
    row: Transcription, diarizer: ScriptedDiarizer
) -> None:
    diarizer.before[1] = lambda: assign(row, [Part(4)], 1)
    detect(row)
    assert speakers(row) == [2, 2, 1, 2, 1]
    assert said(row) == ["Anna", "Anna", "Ben", "Anna", "Ben"]
    undo(row)  # the detection
    assert said(row) == ["Anna", "Anna", "Ben", "Anna", "Ben"]
    undo(row)  # the assignment
    assert said(row) == ["Anna", "Anna", "Ben", "Ben", "Ben"]


def test_choice_while_the_job_waits_is_kept_with_a_later_correction(row: Transcription) -> None:
    commands.detect_speakers(row)
    assign(row, [Part(4)], 1)
    correct(row, 4, "Some more words than these were before.")
    assert work()
    segment = row.segments.get(number=4)
    assert segment.speaker == 2
    assert {word["speaker"] for word in segment.words} == {2}
    assert {word["speaker"] for word in segment.recognized or []} == {2}


def test_choice_before_the_request_is_detected_again(row: Transcription) -> None:
    assign(row, [Part(4)], 1)
    detect(row)
    assert said(row) == ["Anna", "Anna", "Ben", "Ben", "Ben"]


def test_choice_that_was_undone_is_not_kept(row: Transcription, diarizer: ScriptedDiarizer) -> None:
    def change() -> None:
        assign(row, [Part(4)], 1)
        undo(row)

    turns = (Turn(0.0, 2.0, 1), Turn(2.0, 3.0, 2), Turn(3.0, 4.0, 1), Turn(4.0, 10.0, 2))
    diarizer.results, diarizer.before[1] = [Diarization(turns, 10.0, is_final=True)], change
    detect(row)
    assert said(row) == ["Anna", "Anna", "Ben", "Anna", "Ben"]


def test_speaker_whom_only_people_know_is_kept(
    row: Transcription, diarizer: ScriptedDiarizer
) -> None:
    def change() -> None:
        split_speaker(row, 2, [5])
        name_speaker(row, 3, "Clara")

    diarizer.before[1] = change
    detect(row)
    assert speakers(row) == [2, 2, 1, 1, 3]
    assert said(row) == ["Anna", "Anna", "Ben", "Ben", "Clara"]


def test_merged_speakers_stay_one(row: Transcription, diarizer: ScriptedDiarizer) -> None:
    diarizer.before[1] = lambda: merge_speakers(row, 2, into=1)
    detect(row)
    assert said(row) == ["Anna"] * 5
    assert [*names_of(row).values()] == ["Anna"]


def test_new_name_is_kept(row: Transcription, diarizer: ScriptedDiarizer) -> None:
    diarizer.before[1] = lambda: name_speaker(row, 1, "Annabel")
    detect(row)
    assert said(row) == ["Annabel", "Annabel", "Ben", "Ben", "Ben"]


def test_single_word_keeps_its_speaker(row: Transcription, diarizer: ScriptedDiarizer) -> None:
    diarizer.before[1] = lambda: assign(row, [Part(3, 1, 1)], 1)
    detect(row)
    first, *others = row.segments.get(number=3).words
    assert first["speaker"] == 2
    assert {word["speaker"] for word in others} <= {1}
