"""E-mails about recordings and quotas."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts import email
from accounts.models import User
from accounts.usage.quota_notices import next_unsent_threshold
from accounts.usage.summary import usage_this_month
from transcriptions.models import State, Transcription

SUBJECTS = {
    80: "You have used 80% of your minutes this month",
    100: "You have used all your minutes for this month",
}


def send_transcript_ready(id: uuid.UUID) -> None:
    """The e-mail about a transcript, if the recording still exists."""
    row = Transcription.objects.filter(id=id, state=State.COMPLETED).select_related("owner").first()
    if row:
        link = f"{settings.SITE_URL}/transcriptions/{row.id}/"
        subject = f"Your transcript is ready: {row.title}"
        email.send(row.owner.email, subject, "ready", row=row, link=link)


def send_quota_notice(user_id: int) -> None:
    """The e-mail about a quota, if a threshold was passed and the account still exists."""
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user is None:
        return
    with transaction.atomic():  # recorded only if it was sent: otherwise the next charge retries
        if threshold := next_unsent_threshold(user, timezone.now()):
            context = {"usage": usage_this_month(user), "mark": threshold}
            email.send(user.email, SUBJECTS[threshold], "quota", **context)
