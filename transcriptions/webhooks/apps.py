from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class WebhooksConfig(AppConfig):
    name = "transcriptions.webhooks"
    label = "webhooks"
    verbose_name = _("Webhooks")

    def ready(self) -> None:
        """Connect the receiver of `transcription_finished`."""
        from transcriptions.signals import transcription_finished
        from transcriptions.webhooks.outbox import enqueue_deliveries

        transcription_finished.connect(enqueue_deliveries)
