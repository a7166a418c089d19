"""Speakers whose voices are known get their names when a recording is complete: those that the
upload has sent a reference of, then those that its owner has kept.

Nothing is computed for other recordings, and what is computed here stays in memory.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.db import transaction

from gpu import pcm
from gpu.diarization import voices
from gpu.types import Audio, Cancelled, Span
from transcriptions.editing.alignment import StoredWord
from transcriptions.exceptions import DATABASE_AWAY, LeaseLost
from transcriptions.models import Speaker, SpeakerReference, Transcription, Voice, VoiceUse
from transcriptions.models.progress import count_speaker_change
from transcriptions.processing import lifecycle, voice_activity
from transcriptions.schemas.events import SpeakersEvent

log = logging.getLogger(__name__)

STORED_TYPE = np.dtype("<f2")  # of the numbers of a vector
MAX_PAUSE_S = 0.5  # between two words of a stretch of speech

Vector = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class _Known:
    """A voice with a name. `voice_id` is that of the owner's voice, None of a reference."""

    name: str
    vector: Vector
    voice_id: int | None = None


Known = Mapping[int, _Known]  # by number of the speaker


def name_known_speakers(
    row: Transcription, audio: Audio, check: Callable[[], None], used: Callable[[float], None]
) -> SpeakersEvent | None:
    """Name the speakers of a recording whose voices are known, unless somebody has named them.
    Return what to publish; None if no voice was recognized. `check` is called several times per
    second, `used` at the end with the seconds of CPU time. Raises LeaseLost, and what `check`
    raises."""
    found = known_speakers(row, stored_words(row), audio.path, check, used)
    return None if found is None else _store(row, found)


def known_speakers(
    row: Transcription,
    words: Iterable[StoredWord],
    path: Path,
    check: Callable[[], None],
    used: Callable[[float], None],
) -> Known | None:
    """Whose voices are known, of those who say these words; None if no voices are known at all.
    `path` is the prepared audio, `check` and `used` as above. Raises LeaseLost and what `check`
    raises."""
    references = list(row.speaker_references.all())
    kept = list(Voice.objects.filter(owner=row.owner_id, model=voices.MODEL, vector__isnull=False))
    if not references and not kept:
        return None
    begun = time.thread_time()
    try:
        groups = [_described(references, check), [_known(voice) for voice in kept]]
        return _match(_voices_of(words, path, check), groups)
    except (*DATABASE_AWAY, Cancelled, LeaseLost):
        raise
    except Exception as error:  # the transcript is complete without
        log.error("%s: voices: %s", row.id, error, exc_info=error)
        return None
    finally:
        used(time.thread_time() - begun)


def give_known_names(row: Transcription, found: Known) -> int:
    """Name the speakers who have no name. Return how many got one."""
    return sum(_set_name(speaker, found) for speaker in row.speakers.filter(name=""))


def stored_words(row: Transcription) -> Iterator[StoredWord]:
    """Yield all words of the transcript."""
    for words in row.segments.order_by("number").values_list("words", flat=True):
        yield from words


def clear_words(words: Iterable[StoredWord]) -> Iterator[StoredWord]:
    """Yield the words during which nobody else speaks: only they tell how a voice sounds."""
    return (word for word in words if not word.get("overlap"))


def spans_by_speaker(words: Iterable[StoredWord]) -> dict[int, list[Span]]:
    """Map each speaker to the spans in which they speak."""
    spans: dict[int, list[Span]] = {}
    previous = None
    for word in words:
        speaker, start, end = word.get("speaker"), word["start"], word["end"]
        if speaker is not None:
            own = spans.setdefault(speaker, [])
            if own and speaker == previous and start - own[-1].end <= MAX_PAUSE_S:
                own[-1] = Span(own[-1].start, max(end, own[-1].end))
            else:
                own.append(Span(start, end))
        previous = speaker
    return spans


def speech_seconds(row: Transcription, number: int) -> float:
    """How long the stretches are from which the voice of a speaker can be learned."""
    spans = spans_by_speaker(clear_words(stored_words(row))).get(number, ())
    lengths = [span.end - span.start for span in spans]
    return sum(length for length in lengths if length >= voices.MIN_SPAN_S)


def to_bytes(vector: Vector) -> bytes:
    """Encode a vector for the database."""
    return vector.astype(STORED_TYPE).tobytes()


def from_bytes(stored: bytes | memoryview) -> Vector:
    """Decode a stored vector, of length 1."""
    return voices.mean(np.frombuffer(stored, STORED_TYPE)[np.newaxis].astype(np.float32))


def _known(voice: Voice) -> _Known:
    return _Known(voice.name, from_bytes(voice.vector or b""), voice.id)


def _described(references: Iterable[SpeakerReference], check: Callable[[], None]) -> list[_Known]:
    """The voices of references that have enough speech."""
    found = list[_Known]()
    for reference in references:
        with tempfile.NamedTemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR, suffix=".wav") as wav:
            wav.write(reference.audio)
            wav.flush()
            path = Path(wav.name)
            duration = len(reference.audio) / (2 * pcm.SAMPLE_RATE_HZ)
            speech = voice_activity.find_speech(path, duration, check)
            vector = voices.describe(path, speech or [Span(0.0, duration)], check)
        if vector is not None:
            found.append(_Known(reference.name, vector))
    return found


def _voices_of(
    words: Iterable[StoredWord], path: Path, check: Callable[[], None]
) -> dict[int, Vector]:
    found: dict[int, Vector] = {}
    for number, spans in spans_by_speaker(clear_words(words)).items():
        vector = voices.describe(path, spans, check)
        if vector is not None:
            found[number] = vector
    return found


def _match(found: Mapping[int, Vector], groups: Iterable[list[_Known]]) -> dict[int, _Known]:
    """The known voices of speakers. Who has one of the first group needs none of the next."""
    result: dict[int, _Known] = {}
    for group in groups:
        others = {number: vector for number, vector in found.items() if number not in result}
        places = voices.matches(others, [known.vector for known in group])
        result |= {number: group[place] for number, place in places.items()}
    return result


def _store(row: Transcription, found: Known) -> SpeakersEvent | None:
    """Name the recognized speakers, and clear names that an earlier attempt gave."""
    with transaction.atomic():
        lifecycle.lock_held(row)
        earlier = row.speakers.filter(voice_use=VoiceUse.RECOGNIZED)
        changed = earlier.update(name="", voice=None, voice_use=VoiceUse.NONE)
        changed += give_known_names(row, found)
        if not changed:
            return None
        segments = list(row.segments.only("number", "words", "speaker"))
        return SpeakersEvent.of(row, count_speaker_change(row), segments, ())


def _set_name(speaker: Speaker, found: Known) -> bool:
    """Set the recognized name. Return False if there is none, or its voice was deleted."""
    known = found.get(speaker.number)
    if known is None:
        return False
    if known.voice_id is not None:
        kept = Voice.objects.select_for_update(no_key=True).filter(id=known.voice_id)
        if not kept.exists():
            return False
    speaker.name, speaker.voice_id = known.name, known.voice_id
    speaker.voice_use = VoiceUse.RECOGNIZED
    speaker.save(update_fields=["name", "voice", "voice_use"])
    return True
