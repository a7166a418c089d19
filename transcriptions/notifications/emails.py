"""Emails about recordings and quotas."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import email
from accounts.models import User
from accounts.tasks import send_later
from accounts.usage.quota_notices import next_unsent_threshold
from accounts.usage.summary import usage_this_month
from transcriptions.models import Transcription


def send_transcript_ready(row: Transcription) -> None:
    """Email the owner, after commit, that the transcript is complete."""
    link = f"{settings.SITE_URL}/transcriptions/{row.id}/"
    subject = _("Your transcript is ready: %(title)s") % {"title": row.title}
    send_later(email.compose(row.owner.email, subject, "transcript_ready", row=row, link=link))


def send_quota_notice(user_id: int) -> None:
    """Email the user that a threshold of the quota was reached, once per month and threshold."""
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user is None:
        return
    with transaction.atomic():
        if threshold := next_unsent_threshold(user, timezone.now()):
            context = {"usage": usage_this_month(user), "threshold": threshold}
            send_later(email.compose(user.email, _quota_subject(threshold), "quota", **context))


def _quota_subject(percent: int) -> str:
    if percent >= 100:
        return _("You have used all your minutes for this month")
    return _("You have used %(percent)d%% of your minutes this month") % {"percent": percent}
