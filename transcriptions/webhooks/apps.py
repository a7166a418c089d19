from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class WebhooksConfig(AppConfig):
    name = "transcriptions.webhooks"
    label = "webhooks"
    verbose_name = _("Webhooks")

    def ready(self) -> None:
        """Connect the receivers of finished and of deleted recordings."""
        from django.db.models.signals import post_delete

        from transcriptions.models import Transcription
        from transcriptions.signals import transcription_finished
        from transcriptions.webhooks.outbox import delete_deliveries, enqueue_deliveries

        transcription_finished.connect(enqueue_deliveries)
        post_delete.connect(delete_deliveries, sender=Transcription)
