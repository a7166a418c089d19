from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TranscriptionsConfig(AppConfig):
    name = "transcriptions"
    verbose_name = _("Transcriptions")

    def ready(self) -> None:
        """Register the path converter and connect signal receivers."""
        from django.db.models.signals import pre_delete

        from accounts.account_deletion import deletion_requested
        from transcriptions import signals
        from transcriptions.api import converters  # noqa: F401
        from transcriptions.models import Transcription
        from transcriptions.notifications import receivers
        from transcriptions.privacy.tasks import enqueue_deletion
        from transcriptions.processing import diarization_jobs, voice_requests
        from transcriptions.processing.lifecycle import cancel_before_delete
        from transcriptions.realtime import receivers as live_receivers
        from transcriptions.storage import checks  # noqa: F401

        live_receivers.connect()
        pre_delete.connect(cancel_before_delete, sender=Transcription)
        pre_delete.connect(diarization_jobs.cancel_before_delete, sender=Transcription)
        pre_delete.connect(voice_requests.discard_before_delete, sender=Transcription)
        deletion_requested.connect(enqueue_deletion)
        signals.transcription_finished.connect(receivers.send_transcript_ready)
        signals.usage_charged.connect(receivers.enqueue_quota_notice)
