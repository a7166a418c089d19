"""Live sessions: they are opened, receive audio, and are resumed and ended. Used by all kinds of
WebSockets."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any, Literal

from django.conf import settings
from django.db import connection, transaction
from django.utils.translation import gettext as _
from pydantic import Field

from accounts.audit_log import record_event
from accounts.models import Action, ApiToken, User
from accounts.rate_limits import Throttled
from accounts.text import clean_name
from transcriptions import permissions, queue
from transcriptions.models import (
    EndReason,
    LiveSession,
    Phase,
    Priority,
    State,
    Transcription,
    record_step,
)
from transcriptions.processing import live_lifecycle, live_recording, scheduling
from transcriptions.uploads.params import UploadParams
from transcriptions.uploads.service import (
    admit,
    check_speakers,
    check_task,
    requested_languages,
)
from transcriptions.usage import quotas

UNTITLED = "Live recording"
MIN_RATE_HZ, MAX_RATE_HZ = 8_000, 48_000
ENCODINGS = {"pcm_s16le": "audio/pcm", "mulaw": "audio/pcmu", "alaw": "audio/pcma"}
TOO_MANY_RETRY_S = 60
# In one round trip, while the session is not parked. The offset is the number of bytes that the
# client believes to be stored: if two connections send, only one can continue.
APPEND = """
WITH session AS (
    UPDATE transcriptions_livesession
    SET received_bytes = received_bytes + %(length)s, received_at = statement_timestamp()
    WHERE transcription_id = %(id)s AND ended_at IS NULL AND parked_at IS NULL
        AND received_bytes = %(offset)s
    RETURNING transcription_id, received_bytes
), piece AS (
    INSERT INTO transcriptions_livepiece (session_id, "end", data)
    SELECT transcription_id, received_bytes, %(data)s FROM session
)
SELECT received_bytes FROM session
"""
COMMIT = """
WITH session AS (
    UPDATE transcriptions_livesession
    SET commits = commits + 1, received_at = statement_timestamp()
    WHERE transcription_id = %(id)s AND ended_at IS NULL AND parked_at IS NULL
    RETURNING transcription_id, received_bytes, commits
), piece AS (
    INSERT INTO transcriptions_livepiece (session_id, "end", data, "commit")
    SELECT transcription_id, received_bytes, '', commits FROM session
)
SELECT commits FROM session
"""


class LiveParams(UploadParams, extra="forbid"):
    """Query parameters of a new session: the encoding of its audio, and the upload parameters that
    apply to live speech."""

    sample_rate: int = Field(default=24_000, ge=MIN_RATE_HZ, le=MAX_RATE_HZ)
    encoding: Literal["pcm_s16le", "mulaw", "alaw"] = "pcm_s16le"
    turn_silence: float | None = Field(
        default=0.6, ge=0.2, le=10, description="Seconds of silence that end a turn"
    )

    @property
    def media_type(self) -> str:
        """The encoding of the audio, as it is stored."""
        return f"{ENCODINGS[self.encoding]};rate={self.sample_rate};channels=1"


class SessionEnded(Exception):
    """The session accepts no more audio. `str()` is a message for its owner; `reason` is an
    EndReason or `deleted`."""

    def __init__(self, session: LiveSession | None) -> None:
        if session is None:
            self.reason, detail = "deleted", _("The transcription has been deleted.")
        else:
            reason = EndReason(session.end_reason or EndReason.STOPPED)
            self.reason, detail = reason.value, session.end_detail or str(reason.label)
        super().__init__(detail)


class TakenOver(Exception):
    """Another connection has sent audio to the session."""


class TooManySessions(Throttled):
    """The limit of open sessions has been reached."""

    code = "too_many_live_sessions"


def open_session(owner: User, token: ApiToken | None, params: LiveParams) -> LiveSession:
    """Start a recording whose audio will arrive from now on. Raises UploadRefused, Throttled."""
    check_task(params.task)
    language, candidates = requested_languages(params)
    options = replace(params.options_of(owner, candidates), channels="mix", track=None)
    check_speakers(options)
    row = Transcription(
        owner=owner,
        token=token,
        title=clean_name(params.title) or UNTITLED,
        source_bytes=0,
        requested_language=language,
        priority=Priority.LIVE,
        state=State.PREPARED,
        stored_options=options.as_json(),
        request_id=queue.current_request_id(),
    )
    with transaction.atomic():
        row.save(force_insert=True)
        admit(row)  # locks the account
        _check_number(owner)
        session = LiveSession.objects.create(
            transcription=row, media_type=params.media_type, turn_silence=params.turn_silence
        )
        record_step(row, Phase.READY)
        record_event(None, Action.UPLOADED, user_id=owner.pk, recording=row.id)
        transaction.on_commit(lambda: scheduling.enqueue_live(row.id))
    return session


def _check_number(owner: User, resumed: LiveSession | None = None) -> None:
    """Raises TooManySessions if there may be no other session, or if `resumed` may get a worker
    again. Sessions without a worker, because no audio arrives, do not count. To be called while the
    account is locked; the limit of the installation may be exceeded by a few sessions, because
    accounts share no lock."""
    still_open = LiveSession.objects.filter(ended_at=None, parked_at=None)
    if resumed:
        still_open = still_open.exclude(pk=resumed.pk)
    limit = settings.MAX_LIVE_SESSIONS_PER_USER
    if still_open.filter(transcription__owner=owner).count() >= limit:
        message = _("You have %(count)s live sessions open, which is the limit. End one first.")
        raise TooManySessions(message % {"count": limit}, TOO_MANY_RETRY_S)
    if still_open.count() >= settings.MAX_LIVE_SESSIONS:
        error = TooManySessions(
            _("Too many live sessions are open at the moment. Try again later."), TOO_MANY_RETRY_S
        )
        error.status = 503
        raise error


def session_for(user: User, transcription_id: uuid.UUID) -> LiveSession:
    """The session with that id. Raises Http404 if `user` has none with it, and SessionEnded."""
    row = permissions.transcription_for(user, transcription_id)
    session = permissions.live_session_of(row)
    if session.ended_at is not None:
        raise SessionEnded(session)
    return session


def append(session: LiveSession, offset: int, data: bytes) -> int:
    """Store the next audio of a session, which begins at `offset` (bytes). Return how many bytes it
    has now: fewer than were sent if it has reached its maximum duration.

    Raises SessionEnded, TakenOver, TooManySessions.
    """
    most = live_recording.coding_of(session).bytes_per_second * settings.MAX_DURATION_SECONDS
    data = data[: most - offset]
    values = {"id": session.pk, "offset": offset, "length": len(data), "data": data}
    received = _run(session, APPEND, values)
    if received >= most:
        row = session.transcription
        live_lifecycle.end(row, EndReason.LIMIT, _("The longest duration was reached."))
    return received


def commit(session: LiveSession) -> int:
    """End a turn at the present end of the audio. Return the number of this commit. Raises
    SessionEnded, TooManySessions."""
    return _run(session, COMMIT, {"id": session.pk})


def end(session: LiveSession, reason: EndReason = EndReason.STOPPED) -> None:
    """End the audio: the recording is completed when all of it is recognized."""
    if live_lifecycle.end(session.transcription, reason):
        scheduling.enqueue_live(session.pk)


def _run(session: LiveSession, statement: str, values: dict[str, Any]) -> int:
    result = _execute(statement, values)
    return _run_unparked(session, statement, values) if result is None else result


def _run_unparked(session: LiveSession, statement: str, values: dict[str, Any]) -> int:
    """Give a session a worker again, if it is parked. If the limits allow none, nothing changes:
    the client can repeat what it has sent."""
    with transaction.atomic():
        live_lifecycle.unpark(session.pk)
        result = _execute(statement, values)
        if result is None:
            raise why_refused(session)
        _check_number(quotas.lock_account(session.transcription.owner), resumed=session)
        transaction.on_commit(lambda: scheduling.enqueue_live(session.pk))
    return result


def _execute(statement: str, values: dict[str, Any]) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        row = cursor.fetchone()
    return int(row[0]) if row else None


def why_refused(session: LiveSession) -> SessionEnded | TakenOver:
    """The reason for which a connection to the session cannot send any more audio."""
    return find_end(session) or TakenOver()


def find_end(session: LiveSession) -> SessionEnded | None:
    """Why the session has ended; None if it has not."""
    current = LiveSession.objects.filter(pk=session.pk).first()
    return None if current and current.ended_at is None else SessionEnded(current)
