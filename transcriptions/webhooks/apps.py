from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "transcriptions.webhooks"
    label = "webhooks"
    verbose_name = "Webhooks"

    def ready(self) -> None:
        """Connects signals."""
        from transcriptions.signals import transcription_finished
        from transcriptions.webhooks.outbox import enqueue_deliveries

        transcription_finished.connect(enqueue_deliveries)
