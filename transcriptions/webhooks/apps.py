from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "transcriptions.webhooks"
    label = "webhooks"
    verbose_name = "Webhooks"

    def ready(self) -> None:
        """Hears when recordings end."""
        from transcriptions.models import ended
        from transcriptions.webhooks.outbox import announce

        ended.connect(announce)
