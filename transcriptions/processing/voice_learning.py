"""How the voice of a speaker is learned, from the audio of a recording that is still stored.

It is done only when the owner has asked for it: until then nobody's voice is described anywhere.
The speaker waits until it is done, whatever kills the worker.
"""

from __future__ import annotations

import logging
import uuid

from django.db import models, transaction
from django.utils.translation import gettext as _

from gpu.diarization import voices
from gpu.types import Cancelled, EngineError
from transcriptions.exceptions import AudioError, StorageUnavailable
from transcriptions.models import Speaker, Transcription, Voice, VoiceUse
from transcriptions.processing.leases import shutting_down
from transcriptions.processing.recognized_voices import (
    Vector,
    from_bytes,
    spans_by_speaker,
    stored_words,
    to_bytes,
)
from transcriptions.processing.stored_audio import prepared_again
from transcriptions.usage import metering

log = logging.getLogger(__name__)


def learn(transcription_id: uuid.UUID, number: int) -> None:
    """Learn the voice of a speaker who is marked for it. If that is impossible, remove the mark."""
    speaker = waiting().filter(transcription=transcription_id, number=number).first()
    if speaker is None:
        return
    try:
        vector = _listen(speaker.transcription, number)
    except (Cancelled, StorageUnavailable) as error:
        log.warning("%s: a voice will be learned later: %s", transcription_id, error)
        return
    except (AudioError, EngineError, OSError, ValueError) as error:
        log.error("%s: a voice could not be learned: %s", transcription_id, error)
        vector = None
    _store(speaker, vector)


def waiting() -> models.QuerySet[Speaker]:
    """Speakers whose voices are waiting to be learned, longest waiting first."""
    rows = Speaker.objects.filter(voice_use=VoiceUse.WAITING, voice__isnull=False)
    return rows.select_related("transcription").order_by("id")


def _listen(row: Transcription, number: int) -> Vector | None:
    """The voice of a speaker; None if there is too little speech. Raises AudioError, OSError,
    EngineError."""
    spans = spans_by_speaker(stored_words(row)).get(number, ())
    with prepared_again(row, _check) as audio:
        with metering.voices(row, _("A voice learned. Not charged.")):
            return voices.describe(audio, spans)


def _check() -> None:
    if shutting_down.is_set():
        raise Cancelled("the worker is shutting down")


def _store(speaker: Speaker, vector: Vector | None) -> None:
    with transaction.atomic():
        voice_of_speaker = Voice.objects.filter(speakers=speaker.id)
        voice = voice_of_speaker.select_for_update(of=("self",)).first()
        still_waiting = Speaker.objects.filter(
            id=speaker.id, voice=voice, voice_use=VoiceUse.WAITING
        )
        if voice is None:
            return
        if vector is None:
            still_waiting.update(voice=None, voice_use=VoiceUse.NONE)
        elif still_waiting.update(voice_use=VoiceUse.LEARNED):
            _add(voice, vector)


def _add(voice: Voice, vector: Vector) -> None:
    """Update the voice to the mean of all recordings that it was learned from."""
    if voice.vector is None or voice.model != voices.MODEL:
        voice.recordings = 0
    else:
        vector = voices.mean([from_bytes(voice.vector) * voice.recordings, vector])
    voice.vector, voice.model = to_bytes(vector), voices.MODEL
    voice.recordings += 1
    voice.save(update_fields=["vector", "model", "recordings"])
