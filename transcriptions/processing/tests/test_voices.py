"""Voices are learned when their owner asks for it, and recognized in later recordings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Outcome, UsageRecord, User
from gpu.diarization import voices
from gpu.diarization.types import Diarization, Turn
from gpu.types import Unreachable
from transcodio_site.testing import Media
from transcodio_site.testing_media import CHANGES_S
from transcriptions import queue
from transcriptions.exceptions import AudioDeleted, VoiceRefused, WrongState
from transcriptions.models import (
    SpeakerReference,
    State,
    Transcription,
    Voice,
    VoiceLearning,
    VoiceState,
    VoiceUse,
)
from transcriptions.processing import (
    commands,
    detection,
    diarizing,
    kept_voices,
    pipeline,
    recognized_voices,
    tasks,
    voice_learning,
)
from transcriptions.processing.tests.detecting import work
from transcriptions.processing.tests.diarizers import ScriptedDiarizer
from transcriptions.processing.tests.helpers import fresh, raising
from transcriptions.processing.tests.test_diarizing import changes, wanted
from transcriptions.testing import ScriptedEngine, Upload, run_concurrently

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("check_no_temporary_files"),
]

MIDDLE_S = CHANGES_S[1]
Talk = Callable[[], Transcription]


@pytest.fixture
def diarizer(monkeypatch: pytest.MonkeyPatch, engine: ScriptedEngine) -> ScriptedDiarizer:
    """It knows who speaks when; each second is a sentence."""
    engine.sentences = 22
    scripted = ScriptedDiarizer()
    monkeypatch.setattr(diarizing, "get_diarizer", lambda name: scripted)
    return scripted


@pytest.fixture
def first_talk(upload: Upload, media: Media, diarizer: ScriptedDiarizer) -> Transcription:
    """A recording of two people, transcribed."""
    path = media.make("first.wav", "-i", str(media.two_voices("talk.wav")), "-t", str(MIDDLE_S))
    diarizer.results = [conversation(CHANGES_S[0])]
    return transcribed(upload(path))


@pytest.fixture
def later_talk(upload: Upload, media: Media, diarizer: ScriptedDiarizer) -> Talk:
    """A function: another recording of the same people, who say other sentences."""
    path = media.make("later.wav", "-ss", str(MIDDLE_S), "-i", str(media.two_voices("talk.wav")))

    def talk() -> Transcription:
        diarizer.results = [conversation(CHANGES_S[2] - MIDDLE_S)]
        return transcribed(upload(path))

    return talk


def conversation(change: float) -> Diarization:
    """Two turns."""
    return Diarization((Turn(0.0, change, 1), Turn(change, 60.0, 2)), 60.0, is_final=True)


def transcribed(row: Transcription) -> Transcription:
    wanted(row)
    assert pipeline.preprocess(row.id)
    assert pipeline.transcribe(row.id)
    row = fresh(row)
    assert (row.state, row.note) == (State.COMPLETED, "")
    return row


def keep(row: Transcription, **names: str) -> None:
    """Name speakers, keep their voices, and do what the worker does then."""
    for speaker, name in names.items():
        number = int(speaker[1:])
        row.speakers.filter(number=number).update(name=name)
        kept_voices.keep_voice(row, number)
        learn()


def learn() -> None:
    """Do what the worker does with all requests."""
    for learning in VoiceLearning.objects.all():
        voice_learning.learn(learning.id)


def names(row: Transcription) -> dict[int, tuple[str, str]]:
    return {s.number: (s.name, s.voice_use) for s in row.speakers.all()}


def state(voice: Voice) -> VoiceState:
    return Voice.objects.with_waiting().get(id=voice.id).state


def test_kept_voices_are_recognized_in_a_later_recording(
    first_talk: Transcription, later_talk: Talk
) -> None:
    keep(first_talk, s1="Anna", s2="Ben")
    later = later_talk()
    assert names(later) == {1: ("Anna", "recognized"), 2: ("Ben", "recognized")}
    assert [v.recordings for v in Voice.objects.all()] == [1, 1]
    event = changes(later)[0]
    assert [(s.name, s.recognized) for s in event.speakers] == [("Anna", True), ("Ben", True)]


def test_only_the_known_voice_is_recognized(first_talk: Transcription, later_talk: Talk) -> None:
    keep(first_talk, s2="Ben")
    later = later_talk()
    assert names(later) == {1: ("", ""), 2: ("Ben", "recognized")}
    speaker = later.speakers.get(number=2)
    assert speaker.voice == Voice.objects.get()


def test_kept_voices_are_recognized_when_speakers_are_detected_later(
    first_talk: Transcription, later_talk: Talk
) -> None:
    later = later_talk()
    assert names(later) == {1: ("", ""), 2: ("", "")}
    keep(first_talk, s1="Anna", s2="Ben")
    later.speakers.filter(number=2).update(name="Somebody else")  # as a person says
    commands.detect_speakers(later)
    assert work()
    assert names(later) == {1: ("Anna", "recognized"), 2: ("Somebody else", "")}


def test_no_voice_is_described_unless_it_is_asked_for(
    first_talk: Transcription, later_talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voices, "describe", raising(AssertionError("described")))
    first_talk.speakers.update(name="Anna")
    assert names(later_talk()) == {1: ("", ""), 2: ("", "")}
    assert not Voice.objects.exists()


def test_voice_of_another_account_is_not_recognized(
    first_talk: Transcription, later_talk: Talk, bob: User
) -> None:
    keep(first_talk, s1="Anna")
    Voice.objects.update(owner=bob)
    assert names(later_talk())[1] == ("", "")


def test_voice_described_by_another_model_is_not_compared(
    first_talk: Transcription, later_talk: Talk
) -> None:
    keep(first_talk, s1="Anna")
    Voice.objects.update(model="older")
    later = later_talk()
    assert names(later)[1] == ("", "")
    keep(later, s1="Anna")
    voice = Voice.objects.get()
    assert (voice.model, voice.recordings) == (voices.MODEL, 1)  # not mixed


def test_second_recording_adds_to_the_voice(first_talk: Transcription, later_talk: Talk) -> None:
    keep(first_talk, s1="Anna")
    before = bytes(Voice.objects.get().vector or b"")
    later = later_talk()
    keep(later, s1="anna")
    voice = Voice.objects.get()
    assert (voice.name, voice.recordings, len(before)) == ("Anna", 2, 2 * voices.SIZE)
    one, two = (recognized_voices.from_bytes(v) for v in (before, voice.vector or b""))
    assert 0.9 < float(one @ two) < 0.9999
    keep(later, s1="Anna")  # again: it is known already
    assert Voice.objects.get().recordings == 2


def test_name_given_by_a_person_is_not_changed(
    first_talk: Transcription, later_talk: Talk, diarizer: ScriptedDiarizer
) -> None:
    keep(first_talk, s1="Anna")
    diarizer.before[1] = lambda: name_first(Transcription.objects.latest("created_at"))
    assert names(later_talk())[1] == ("Anne", "")


def name_first(row: Transcription) -> None:
    """As if processing had been resumed after somebody had named a speaker."""
    segment = row.segments.get(number=1)
    segment.words = [word | {"speaker": 1} for word in segment.words]
    segment.save(update_fields=["words"])
    row.speakers.create(number=1, name="Anne")


def test_recognized_name_is_found_again_after_a_crash(
    first_talk: Transcription, later_talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(first_talk, s1="Anna")
    found = recognized_voices.name_known_speakers

    def after_crash(row: Transcription, *arguments: Any) -> Any:
        row.speakers.update(name="Wrong", voice_use=VoiceUse.RECOGNIZED)
        return found(row, *arguments)

    monkeypatch.setattr(diarizing, "name_known_speakers", after_crash)
    assert names(later_talk()) == {1: ("Anna", "recognized"), 2: ("", "")}


@pytest.mark.parametrize("module", [recognized_voices, detection])
def test_comparing_voices_is_metered(
    first_talk: Transcription, later_talk: Talk, monkeypatch: pytest.MonkeyPatch, module: Any
) -> None:
    later = later_talk() if module is detection else None
    keep(first_talk, s1="Anna")
    compare: Callable[..., Any] = recognized_voices.known_speakers

    def compared(*arguments: Any) -> Any:
        *others, used = arguments
        return compare(*others, lambda seconds: used(100.0 if seconds > 0 else 0.0))

    monkeypatch.setattr(module, "known_speakers", compared)
    if later:
        commands.detect_speakers(later)
        assert work()
    later = later or later_talk()
    record = UsageRecord.objects.filter(transcription=later.id).latest("id")
    assert 100 <= record.decode_seconds < 110


@pytest.mark.covers("fault", "Known voices cannot be compared with those of a recording")
def test_transcript_is_complete_if_voices_cannot_be_compared(
    first_talk: Transcription, later_talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(first_talk, s1="Anna")
    monkeypatch.setattr(voices, "describe", raising(MemoryError()))
    assert names(later_talk()) == {1: ("", ""), 2: ("", "")}


# --- Learning -----------------------------------------------------------------------------------


def test_voice_is_learned_by_the_task_that_was_lost(
    first_talk: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueued = list[tuple[Any, ...]]()
    monkeypatch.setattr(queue, "enqueue", lambda task, *values: enqueued.append((task, *values)))
    first_talk.speakers.filter(number=1).update(name="Anna")
    voice = kept_voices.keep_voice(first_talk, 1)
    assert state(voice) == VoiceState.LEARNING
    learning = VoiceLearning.objects.get()
    assert enqueued == [(tasks.learn_voice, learning.id)]
    tasks.learn_waiting_voices()
    assert enqueued == 2 * enqueued[:1]
    tasks.learn_voice(str(learning.id))
    assert state(voice) == VoiceState.READY
    record = UsageRecord.objects.get(outcome=Outcome.SPEAKERS)
    assert (record.reason, record.billed) == ("A voice learned. Not charged.", False)
    assert record.decode_ms > 0
    tasks.learn_waiting_voices()
    assert len(enqueued) == 2


@pytest.mark.covers("fault", "Two workers learn the same voice at the same time")
def test_voice_is_learned_once_by_two_workers(first_talk: Transcription) -> None:
    first_talk.speakers.filter(number=1).update(name="Anna")
    kept_voices.keep_voice(first_talk, 1)
    learning = VoiceLearning.objects.get()
    run_concurrently(*[lambda: voice_learning.learn(learning.id)] * 2)
    assert Voice.objects.get().recordings == 1


@pytest.mark.covers("fault", "The audio is deleted before a voice was learned from it")
def test_voice_whose_audio_is_deleted_could_not_be_learned(first_talk: Transcription) -> None:
    first_talk.speakers.filter(number=1).update(name="Anna")
    voice = kept_voices.keep_voice(first_talk, 1)
    commands.delete_audio(first_talk)
    learn()
    assert state(voice) == VoiceState.FAILED
    assert names(first_talk)[1] == ("Anna", "")
    assert not VoiceLearning.objects.exists()


def test_voice_deleted_while_it_is_learned_stays_deleted(
    first_talk: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_talk.speakers.filter(number=1).update(name="Anna")
    voice = kept_voices.keep_voice(first_talk, 1)
    describe = voices.describe

    def delete_then_describe(*arguments: Any) -> Any:
        kept_voices.delete_voices(voice.owner, voice)
        return describe(*arguments)

    monkeypatch.setattr(voices, "describe", delete_then_describe)
    learn()
    assert not Voice.objects.exists()
    assert names(first_talk)[1] == ("Anna", "")


def test_voice_is_refused_without_a_name_audio_or_speech(first_talk: Transcription) -> None:
    with pytest.raises(VoiceRefused, match="Name the speaker"):
        kept_voices.keep_voice(first_talk, 1)
    first_talk.speakers.update(name="Anna")
    for segment in first_talk.segments.filter(speaker=1)[3:]:
        segment.delete()
    with pytest.raises(VoiceRefused, match="5 seconds"):
        kept_voices.keep_voice(first_talk, 1)
    commands.delete_audio(first_talk)
    with pytest.raises(AudioDeleted, match="has been deleted"):
        kept_voices.keep_voice(first_talk, 2)
    assert not Voice.objects.exists()


def test_number_of_voices_is_limited(
    first_talk: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_voices, "MAX_VOICES", 1)
    keep(first_talk, s1="Anna")
    with pytest.raises(VoiceRefused, match="You have 1 voices"):
        keep(first_talk, s2="Ben")


def test_voice_gets_the_corrected_name_of_its_speaker(first_talk: Transcription) -> None:
    keep(first_talk, s1="Ana")
    keep(first_talk, s1="Anna")
    voice = Voice.objects.get()
    assert (voice.name, voice.recordings) == ("Anna", 1)


# --- References of an upload --------------------------------------------------------------------


def reference(row: Transcription, media: Media, name: str, start: float) -> None:
    """Five seconds of a voice of the talk."""
    cut = ("-ss", str(start), "-t", "5", "-ar", "24000", "-ac", "1")
    path = media.make("reference.wav", "-i", str(media.two_voices("talk.wav")), *cut)
    SpeakerReference.objects.create(transcription=row, name=name, audio=path.read_bytes())


def with_references(upload: Upload, media: Media, diarizer: ScriptedDiarizer) -> Transcription:
    path = media.make("later.wav", "-ss", str(MIDDLE_S), "-i", str(media.two_voices("talk.wav")))
    diarizer.results = [conversation(CHANGES_S[2] - MIDDLE_S)]
    row = upload(path)
    reference(row, media, "Agent", 1.0)
    reference(row, media, "Customer", CHANGES_S[0] + 1.0)
    return row


def test_references_name_the_speakers_and_are_deleted(
    upload: Upload, media: Media, diarizer: ScriptedDiarizer
) -> None:
    row = transcribed(with_references(upload, media, diarizer))
    assert names(row) == {1: ("Agent", "recognized"), 2: ("Customer", "recognized")}
    assert not SpeakerReference.objects.exists()
    assert not Voice.objects.exists()


def test_references_come_before_kept_voices(
    first_talk: Transcription, upload: Upload, media: Media, diarizer: ScriptedDiarizer
) -> None:
    keep(first_talk, s1="Anna", s2="Ben")
    row = with_references(upload, media, diarizer)
    row.speaker_references.get(name="Customer").delete()
    assert names(transcribed(row)) == {1: ("Agent", "recognized"), 2: ("Ben", "recognized")}


def test_references_are_deleted_when_the_recording_is_cancelled(
    upload: Upload, media: Media, diarizer: ScriptedDiarizer
) -> None:
    row = wanted(with_references(upload, media, diarizer))
    commands.cancel(row)
    assert not SpeakerReference.objects.exists()


def test_references_survive_an_interruption(
    upload: Upload, media: Media, diarizer: ScriptedDiarizer, engine: ScriptedEngine
) -> None:
    row = wanted(with_references(upload, media, diarizer))
    assert pipeline.preprocess(row.id)
    engine.before = {3: raising(Unreachable("away"))}
    assert not pipeline.transcribe(row.id)
    assert (fresh(row).state, row.speaker_references.count()) == (State.PREPARED, 2)


def test_voices_cannot_be_kept_while_the_recording_is_processed(prepared: Transcription) -> None:
    with pytest.raises(WrongState):
        kept_voices.keep_voice(prepared, 1)
