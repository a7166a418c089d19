"""How the voice of a speaker is learned, from the audio of a recording that is still stored.

It is done only when the owner has asked for it: until then nobody's voice is described anywhere.
The speaker waits until it is done, or was tried too often.
"""

from __future__ import annotations

from functools import partial

from django.db.models import Exists, OuterRef, QuerySet
from django.utils.translation import gettext as _

from gpu.diarization import voices
from transcriptions.models import Speaker, Transcription, Voice, VoiceLearning, VoiceUse
from transcriptions.processing import voice_requests
from transcriptions.processing.recognized_voices import (
    Vector,
    clear_words,
    from_bytes,
    spans_by_speaker,
    stored_words,
    to_bytes,
)
from transcriptions.processing.stored_audio import prepared_again
from transcriptions.processing.voice_requests import Lease, Store


def request(row: Transcription, voice: Voice) -> VoiceLearning:
    """A new request to learn this voice from the waiting speakers of a locked recording. A worker
    that has begun with fewer of them loses its request."""
    voice_requests.discard(VoiceLearning.objects.filter(transcription=row, voice=voice))
    Voice.objects.filter(id=voice.id).update(error="")
    return VoiceLearning.objects.create(transcription=row, voice=voice)


def request_missing() -> None:
    """Create requests for waiting speakers who have none: those whom an earlier release has marked,
    or who were merged with another one while its voice was learned."""
    own = VoiceLearning.objects.filter(
        transcription=OuterRef("transcription"), voice=OuterRef("voice")
    )
    waiting = Speaker.objects.filter(voice_use=VoiceUse.WAITING, voice__isnull=False)
    missing = waiting.exclude(Exists(own)).order_by().values("transcription_id", "voice_id")
    VoiceLearning.objects.bulk_create(
        [VoiceLearning(**values) for values in missing.distinct()], ignore_conflicts=True
    )


def learn(learning_id: int) -> None:
    """Do the work on a request that waits for it. If that is impossible, its speakers wait no
    longer, and the voice says so."""
    voice_requests.run(VoiceLearning.objects.all(), learning_id, _listen, _fail)


def _listen(lease: Lease[VoiceLearning]) -> Store[VoiceLearning]:
    """Describe the voice of the waiting speakers. Raises AudioError, OSError, EngineError,
    LeaseLost, Cancelled."""
    row = lease.request.transcription
    speakers = dict(_waiting(lease.request).values_list("number", "id"))
    if not speakers:  # they were deleted, or wait for another voice now
        return VoiceLearning.delete
    spans = spans_by_speaker(clear_words(stored_words(row)))
    own = [span for number in speakers for span in spans.get(number, ())]
    with prepared_again(row, lease.check) as audio:
        lease.start_metering()
        vector = voices.describe(audio, own, lease.check)
    if vector is None:
        reason = _("In the recording that you chose last, this person says too little.")
        return partial(_fail, reason=reason + " " + _("Choose another one."))
    return partial(_store, speakers=[*speakers.values()], vector=vector)


def _waiting(learning: VoiceLearning) -> QuerySet[Speaker]:
    return Speaker.objects.filter(
        transcription=learning.transcription_id,
        voice=learning.voice_id,
        voice_use=VoiceUse.WAITING,
    )


def _store(learning: VoiceLearning, speakers: list[int], vector: Vector) -> None:
    """Store what was learned from those of the speakers who still wait."""
    voice = Voice.objects.select_for_update().get(id=learning.voice_id)
    if _waiting(learning).filter(id__in=speakers).update(voice_use=VoiceUse.LEARNED):
        _add(voice, vector)
    learning.delete()


def _fail(learning: VoiceLearning, reason: str = "") -> None:
    _waiting(learning).update(voice=None, voice_use=VoiceUse.NONE)
    impossible = _("The voice could not be learned from the recording that you chose last.")
    again = _("Try again, or choose another one.")
    Voice.objects.filter(id=learning.voice_id).update(error=reason or f"{impossible} {again}")
    learning.delete()


def _add(voice: Voice, vector: Vector) -> None:
    """Update the voice to the mean of all recordings that it was learned from."""
    if voice.vector is None or voice.model != voices.MODEL:
        voice.recordings = 0
    else:
        vector = voices.mean([from_bytes(voice.vector) * voice.recordings, vector])
    voice.vector, voice.model = to_bytes(vector), voices.MODEL
    voice.recordings += 1
    voice.error = ""
    voice.save(update_fields=["vector", "model", "recordings", "error"])
