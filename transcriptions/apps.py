from django.apps import AppConfig


class TranscriptionsConfig(AppConfig):
    name = "transcriptions"
    verbose_name = "Transcriptions"

    def ready(self) -> None:
        """Hears when recordings end."""
        from transcriptions.mails import when_ended
        from transcriptions.models import ended

        ended.connect(when_ended)
