"""Commands of an owner: voices that are kept, to recognize people in future recordings."""

from __future__ import annotations

from django.db import transaction
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _

from accounts.models import User
from transcriptions import queue
from transcriptions.editing.speakers import speaker_for_update
from transcriptions.exceptions import AudioDeleted, VoiceRefused, WrongState
from transcriptions.models import (
    MAX_VOICES,
    Speaker,
    Transcription,
    Voice,
    VoiceLearning,
    VoiceUse,
)
from transcriptions.processing import tasks, voice_learning, voice_requests
from transcriptions.processing.recognized_voices import speech_seconds

MIN_SPEECH_S = 5.0  # of a speaker whose voice is to be kept
FROM_SPEAKER = (VoiceUse.WAITING, VoiceUse.LEARNED)


def keep_voice(row: Transcription, number: int) -> Voice:
    """Learn the voice of a speaker who has a name, in the background: a new voice, or a better
    description of that which has this name. Does nothing the second time.

    Raises WrongState, AudioDeleted, UnknownSpeaker, VoiceRefused.
    """
    with transaction.atomic():
        locked = Transcription.objects.select_for_update().get(id=row.id)
        speaker = _checked(locked, number)
        owner = User.objects.select_for_update().get(id=locked.owner_id)
        voice = _voice_of(owner, speaker)
        if speaker.voice_id != voice.id or speaker.voice_use not in FROM_SPEAKER:
            speaker.voice, speaker.voice_use = voice, VoiceUse.WAITING
            speaker.save(update_fields=["voice", "voice_use"])
            learning = voice_learning.request(locked, voice)
            transaction.on_commit(lambda: queue.enqueue(tasks.learn_voice, learning.id))
        return Voice.objects.with_waiting().get(id=voice.id)


def rename_voice(voice: Voice, name: str) -> None:
    """Rename a voice. Existing transcripts keep the old name. Raises VoiceRefused, and Http404 if
    it was deleted meanwhile."""
    with transaction.atomic():
        User.objects.select_for_update().get(id=voice.owner_id)
        get_object_or_404(Voice.objects.select_for_update(), id=voice.id)
        others = Voice.objects.filter(owner=voice.owner_id).exclude(id=voice.id)
        if others.named(name).exists():
            raise VoiceRefused(409, "voice_exists", _("Another voice already has this name."))
        voice.name = name
        voice.save(update_fields=["name"])


def delete_voices(owner: User, *chosen: Voice) -> int:
    """Delete these voices of an owner, or all. Existing transcripts keep their names. Return how
    many were deleted."""
    with transaction.atomic():
        User.objects.select_for_update().get(id=owner.id)  # nobody requests one meanwhile
        own = Voice.objects.filter(owner=owner)
        if chosen:
            own = own.filter(id__in=[voice.id for voice in chosen])
        # In the order of a worker that stores one: first its request, then the voice.
        voice_requests.discard(VoiceLearning.objects.filter(voice__in=own))
        ids = list(own.select_for_update().values_list("id", flat=True))
        learned = Speaker.objects.filter(voice__in=ids, voice_use__in=FROM_SPEAKER)
        learned.update(voice=None, voice_use=VoiceUse.NONE)
        Voice.objects.filter(id__in=ids).delete()
        return len(ids)


def _checked(row: Transcription, number: int) -> Speaker:
    """The speaker, after checking that the voice can be learned."""
    if not row.is_finished:
        raise WrongState(_("Voices can be kept only after processing has finished."))
    speaker = speaker_for_update(row, number)
    if not speaker.name:
        raise VoiceRefused(422, "unnamed_speaker", _("Name the speaker first."))
    if not row.source:
        message = _("The audio has been deleted, so the voice can no longer be learned from it.")
        raise AudioDeleted(message)
    if speech_seconds(row, number) < MIN_SPEECH_S:
        message = _("At least %(seconds)d seconds of clear speech are needed to recognize a voice.")
        raise VoiceRefused(422, "too_little_speech", message % {"seconds": MIN_SPEECH_S})
    return speaker


def _voice_of(owner: User, speaker: Speaker) -> Voice:
    """The owner's voice with the name of the speaker: one that exists, one that was learned only
    from this speaker under another name, or a new one. Raises VoiceRefused."""
    own = Voice.objects.filter(owner=owner)
    if voice := own.named(speaker.name).first():
        return voice
    former = speaker.voice if speaker.voice_use in FROM_SPEAKER else None
    if former and former.recordings <= 1:
        former.name = speaker.name
        former.save(update_fields=["name"])
        return former
    if own.count() >= MAX_VOICES:
        message = _("You have %(count)d voices. Delete one first.")
        raise VoiceRefused(409, "too_many_voices", message % {"count": MAX_VOICES})
    return own.create(owner=owner, name=speaker.name)
