from django.apps import AppConfig


class TranscriptionsConfig(AppConfig):
    name = "transcriptions"
    verbose_name = "Transcriptions"

    def ready(self) -> None:
        """Knows ids in addresses; hears when recordings end, and when something was charged."""
        from transcriptions import converters  # noqa: F401
        from transcriptions.mails import when_charged, when_ended
        from transcriptions.metering import charged
        from transcriptions.models import ended

        ended.connect(when_ended)
        charged.connect(when_charged)
