"""The background task that deletes an account: small transactions, in any number of runs.

If a run is killed, the next one continues: each deletes what is still there, and the account itself
comes last.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.utils import timezone

from accounts import account_deletion
from accounts.models import AccountDeletion
from transcriptions.models import FINISHED, DirectUpload, Transcription
from transcriptions.uploads import direct
from transcriptions.webhooks.models import Delivery, Endpoint

log = logging.getLogger(__name__)

BATCH_RECORDINGS = 50  # each is deleted in a transaction of its own
BATCH_ROWS = 1000
EMAIL_RETRY = timedelta(minutes=10)
# A mail server that stays unreachable must not keep the data from being deleted.
MAX_EMAIL_DELAY = timedelta(days=1)


def delete_batch(user_id: int) -> bool:
    """Delete a part of what is left. Return whether there is more to delete now; False if another
    task is working on it."""
    deletion = AccountDeletion.claim(user_id)
    if deletion is None:
        return False
    account_deletion.disable(user_id)  # an administrator may have enabled it again
    if _delete_webhooks(user_id) or _abort_uploads(user_id) or _delete_recordings(user_id):
        deletion.release()
        return True
    return _finish(deletion)


def _delete_webhooks(user_id: int) -> bool:
    """Delete a batch of deliveries, or else the endpoints. Return whether there were deliveries."""
    batch = Delivery.objects.filter(endpoint__owner=user_id).values("pk")[:BATCH_ROWS]
    deleted, _ = Delivery.objects.filter(pk__in=batch).delete()
    if not deleted:
        Endpoint.objects.filter(owner=user_id).delete()
    return bool(deleted)


def _abort_uploads(user_id: int) -> bool:
    """Cancel a batch of direct uploads. Return whether there were any."""
    batch = list(DirectUpload.objects.filter(owner=user_id)[:BATCH_RECORDINGS])
    for upload in batch:
        direct.abort(upload)
    return bool(batch)


def _delete_recordings(user_id: int) -> bool:
    """Delete a batch of recordings, those being processed first. Return whether there were any."""
    recordings = Transcription.objects.filter(owner=user_id)
    unfinished = recordings.exclude(state__in=FINISHED)
    batch = list(unfinished[:BATCH_RECORDINGS] or recordings[:BATCH_RECORDINGS])
    for row in batch:
        row.delete()
    return bool(batch)


def _finish(deletion: AccountDeletion) -> bool:
    """Delete the account and send the email about it. Return whether this has to be repeated."""
    is_late = timezone.now() - deletion.requested_at > MAX_EMAIL_DELAY
    try:
        account_deletion.finish(deletion.user_id, notify=not is_late)
    except OSError as error:
        log.warning("the email about a deleted account could not be sent: %s", error)
        deletion.release(EMAIL_RETRY)
    return False
