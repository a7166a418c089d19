"""No name that somebody has given is lost when speakers are detected again: it goes to the voice
that is the same, or stays with the words that had it."""

from __future__ import annotations

import pytest

from gpu.diarization.types import Diarization, Turn
from gpu.types import BadAudio
from transcodio_site.testing import wait_until
from transcriptions.editing.log import names_of, undo
from transcriptions.editing.service import correct
from transcriptions.editing.speakers import Part, assign, merge_speakers, name_speaker
from transcriptions.models import State, Transcription, VoiceUse
from transcriptions.processing import commands, pipeline
from transcriptions.processing.tests.detecting import work
from transcriptions.processing.tests.diarizers import ScriptedDiarizer
from transcriptions.processing.tests.helpers import fresh, raising
from transcriptions.processing.tests.test_detection_edits import said
from transcriptions.processing.tests.test_diarizing import speakers, wanted
from transcriptions.testing import ScriptedEngine, prepare_again

pytestmark = pytest.mark.django_db(transaction=True)


def voices(numbers: str) -> list[Diarization]:
    """A final result: a digit for each second, the number of who speaks then."""
    turns = [Turn(float(at), at + 1.0, int(digit)) for at, digit in enumerate(numbers)]
    return [Diarization(tuple(turns), 10.0, is_final=True)]


@pytest.fixture
def row(complete: Transcription, diarizer: ScriptedDiarizer) -> Transcription:
    """Five sentences: one by a first speaker, one by a second, three by a third. The next detection
    hears one voice, whose talk is mostly that of the third."""
    diarizer.results = voices("12333")
    detect(complete)
    diarizer.results = voices("11111")
    return complete


def detect(row: Transcription) -> None:
    commands.detect_speakers(row)
    assert work()


def test_name_of_a_voice_that_is_not_found_again_stays_with_its_words(
    row: Transcription, diarizer: ScriptedDiarizer
) -> None:
    diarizer.before[1] = lambda: name_speaker(row, 1, "Anna")
    detect(row)
    assert said(row) == ["Anna", "", "", "", ""]
    assert speakers(row) == [2, 1, 1, 1, 1]
    undo(row)  # the detection
    assert said(row) == ["Anna", "", "", "", ""]
    assert speakers(row) == [1, 2, 3, 3, 3]


def test_of_two_names_for_one_voice_it_has_that_with_more_words(
    row: Transcription, diarizer: ScriptedDiarizer
) -> None:
    def change() -> None:
        name_speaker(row, 1, "Anna")
        name_speaker(row, 3, "Clara")

    diarizer.before[1] = change
    detect(row)
    assert said(row) == ["Anna", "Clara", "Clara", "Clara", "Clara"]
    assert names_of(row) == {"1": "Clara", "2": "Anna"}


def test_names_of_three_who_are_one_voice_in_equal_parts_are_kept(
    complete: Transcription, diarizer: ScriptedDiarizer
) -> None:
    diarizer.results = voices("12312")
    detect(complete)
    for number, name in enumerate(("Anna", "Ben", "Clara"), 1):
        name_speaker(complete, number, name)
    diarizer.results = voices("11111")
    detect(complete)
    assert said(complete) == ["Anna", "Ben", "Clara", "Anna", "Ben"]
    detect(complete)  # once more
    assert said(complete) == ["Anna", "Ben", "Clara", "Anna", "Ben"]


def test_same_name_given_twice_is_one_speaker_if_it_is_one_voice(row: Transcription) -> None:
    name_speaker(row, 1, "clara")
    name_speaker(row, 3, "Clara")
    detect(row)
    assert said(row) == ["Clara"] * 5
    assert names_of(row) == {"1": "Clara"}


def test_name_that_was_found_by_voice_is_not_kept_without_the_voice(row: Transcription) -> None:
    row.speakers.filter(number=1).update(name="Anna", voice_use=VoiceUse.RECOGNIZED)
    detect(row)
    assert names_of(row) == {"1": ""}


def test_name_given_to_one_sentence_is_that_of_its_voice(
    complete: Transcription, diarizer: ScriptedDiarizer
) -> None:
    def change() -> None:
        assign(complete, [Part(4)], 1)
        name_speaker(complete, 1, "Anna")

    diarizer.before[1] = change
    detect(complete)
    assert speakers(complete) == [1, 1, 2, 2, 2]
    assert said(complete) == ["", "", "Anna", "Anna", "Anna"]


def test_two_names_in_one_voice_are_kept_with_their_sentences(
    complete: Transcription, diarizer: ScriptedDiarizer
) -> None:
    def change() -> None:
        for segment, number, name in ((3, 1, "Anna"), (4, 2, "Ben")):
            assign(complete, [Part(segment)], number)
            name_speaker(complete, number, name)

    diarizer.before[1] = change
    detect(complete)
    assert said(complete)[2:4] == ["Anna", "Ben"]
    assert sorted(names_of(complete).values()) == ["", "Anna", "Ben"]


def test_named_words_that_are_edited_meanwhile_keep_the_name(
    row: Transcription, diarizer: ScriptedDiarizer
) -> None:
    def change() -> None:
        name_speaker(row, 1, "Anna")
        correct(row, 1, "Quite another and a longer sentence.")

    diarizer.before[1] = change
    detect(row)
    assert said(row) == ["Anna", "", "", "", ""]
    segment = row.segments.get(number=1)
    assert {word["speaker"] for word in segment.words} == {2}
    assert {word["speaker"] for word in segment.recognized or []} == {2}


def test_name_of_merged_speakers_is_kept(row: Transcription, diarizer: ScriptedDiarizer) -> None:
    def change() -> None:
        name_speaker(row, 1, "Anna")
        merge_speakers(row, 1, into=2)

    diarizer.before[1] = change
    detect(row)
    assert said(row) == ["Anna", "Anna", "", "", ""]


def test_named_speaker_whose_words_were_given_to_others_is_kept(row: Transcription) -> None:
    name_speaker(row, 1, "Anna")
    assign(row, [Part(1)], 2)
    detect(row)
    assert names_of(row) == {"1": "", "2": "Anna"}


def test_word_that_only_the_recognized_text_has_does_not_fail_a_detection(
    row: Transcription, diarizer: ScriptedDiarizer
) -> None:
    def change() -> None:
        correct(row, 4, "Sentence 4")
        assign(row, [Part(4, 1, 1)], 4)
        correct(row, 4, "4")

    diarizer.before[1] = change
    detect(row)
    assert speakers(row) == [1, 1, 1, 1, 1]


def test_name_given_after_a_detection_is_that_of_the_new_number(row: Transcription) -> None:
    detect(row)
    name_speaker(row, 1, "Anna")
    assert said(row) == ["Anna"] * 5


# --- A recording that failed, and is resumed ------------------------------------------------------


@pytest.fixture
def failed(
    prepared: Transcription, engine: ScriptedEngine, diarizer: ScriptedDiarizer
) -> Transcription:
    """Three of five sentences are recognized. By what is known then, the first is by one speaker,
    the others are by another one."""
    diarizer.results = [Diarization(voices("1222222222")[0].turns, 10.0)]
    engine.before = {
        2: lambda: wait_until(lambda: diarizer.yielded == 1),
        4: raising(BadAudio("damaged")),
    }
    assert not pipeline.transcribe(wanted(prepared).id)
    assert fresh(prepared).state == State.FAILED
    assert speakers(prepared) == [1, 2, 2]
    return fresh(prepared)


def resume(row: Transcription, engine: ScriptedEngine, diarizer: ScriptedDiarizer) -> None:
    """The last sentence comes after a first result of the diarizer."""
    before = diarizer.yielded
    engine.before = {5: lambda: wait_until(lambda: diarizer.yielded - before >= 1)}
    commands.retry(row)
    prepare_again(row)
    assert pipeline.transcribe(row.id)


@pytest.mark.parametrize("final", ["21111", "23333"])
def test_name_given_before_a_retry_is_that_of_the_same_voice(
    failed: Transcription, engine: ScriptedEngine, diarizer: ScriptedDiarizer, final: str
) -> None:
    name_speaker(failed, 1, "Anna")
    name_speaker(failed, 2, "Ben")
    diarizer.results = [Diarization((Turn(0.0, 10.0, 1),), 3.0), *voices(final)]
    resume(failed, engine, diarizer)
    assert said(failed) == ["Anna", "Ben", "Ben", "Ben", "Ben"]
    assert speakers(failed) == [int(number) for number in final]


def test_name_given_before_a_retry_stays_with_its_words_if_the_voice_is_not_found(
    failed: Transcription, engine: ScriptedEngine, diarizer: ScriptedDiarizer
) -> None:
    name_speaker(failed, 1, "Anna")
    diarizer.results = [Diarization((Turn(0.0, 10.0, 1),), 3.0), *voices("11111")]
    resume(failed, engine, diarizer)
    assert said(failed) == ["Anna", "", "", "", ""]


def test_names_stay_with_their_words_if_a_retry_finds_no_speakers(
    failed: Transcription, engine: ScriptedEngine, diarizer: ScriptedDiarizer
) -> None:
    name_speaker(failed, 1, "Anna")
    diarizer.results = []
    diarizer.before = {}
    commands.retry(failed)
    prepare_again(failed)
    engine.before = {}
    assert pipeline.transcribe(failed.id)
    assert speakers(failed) == [1, None, None, None, None]
    assert names_of(failed) == {"1": "Anna"}
