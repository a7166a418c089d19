"""Tables of the transcriptions app: fields, constraints and queries.

Changes of a recording's state are in `transcriptions.processing.lifecycle`.
"""

from __future__ import annotations

from transcriptions.models.annotation import (
    MAX_ANNOTATIONS,
    Annotation,
    AnnotationKind,
    Color,
)
from transcriptions.models.audio_analysis import AudioAnalysis
from transcriptions.models.diarization_job import DiarizationJob, is_detecting_speakers
from transcriptions.models.direct_upload import DirectUpload
from transcriptions.models.edit import Edit, EditKind, EditStatus
from transcriptions.models.idempotency import IDEMPOTENCY_KEY_LIFETIME, IdempotencyKey
from transcriptions.models.live_session import EndReason, LivePiece, LiveSession
from transcriptions.models.options import Options
from transcriptions.models.processing_step import FINAL_PHASES, Phase, Step, record_step
from transcriptions.models.progress import Progress, lease_end
from transcriptions.models.scheduling import AccountQueue, Priority, PriorityQueue
from transcriptions.models.search_entry import SEARCH_KEYS, SearchEntry
from transcriptions.models.segment import Segment
from transcriptions.models.speaker import Speaker, VoiceUse
from transcriptions.models.split_proposal import SplitProposal
from transcriptions.models.state import (
    FINISHED,
    UNSUCCESSFUL,
    WAITING,
    WORKING,
    LiveState,
    State,
)
from transcriptions.models.subtitle_profile import SubtitleProfile
from transcriptions.models.transcription import (
    STORAGE_FOLDER,
    Transcription,
    TranscriptionQuerySet,
    audio_path,
    source_path,
)
from transcriptions.models.voice import (
    MAX_VOICES,
    SpeakerReference,
    Voice,
    VoiceLearning,
    VoiceQuerySet,
    VoiceState,
)

__all__ = [
    "FINAL_PHASES",
    "FINISHED",
    "IDEMPOTENCY_KEY_LIFETIME",
    "MAX_ANNOTATIONS",
    "MAX_VOICES",
    "SEARCH_KEYS",
    "STORAGE_FOLDER",
    "UNSUCCESSFUL",
    "WAITING",
    "WORKING",
    "AccountQueue",
    "Annotation",
    "AnnotationKind",
    "AudioAnalysis",
    "Color",
    "DiarizationJob",
    "DirectUpload",
    "Edit",
    "EditKind",
    "EditStatus",
    "EndReason",
    "IdempotencyKey",
    "LivePiece",
    "LiveSession",
    "LiveState",
    "Options",
    "Phase",
    "Priority",
    "PriorityQueue",
    "Progress",
    "SearchEntry",
    "Segment",
    "Speaker",
    "SpeakerReference",
    "SplitProposal",
    "State",
    "Step",
    "SubtitleProfile",
    "Transcription",
    "TranscriptionQuerySet",
    "Voice",
    "VoiceLearning",
    "VoiceQuerySet",
    "VoiceState",
    "VoiceUse",
    "audio_path",
    "is_detecting_speakers",
    "lease_end",
    "record_step",
    "source_path",
]
