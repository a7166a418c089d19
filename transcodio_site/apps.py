import gc

from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "transcodio_site"
    verbose_name = "Transcodio"

    def ready(self) -> None:
        """Load our Celery application, which `shared_task` functions use, and start what is
        configured of monitoring."""
        from transcodio_site import celery  # noqa: F401
        from transcodio_site.monitoring import error_reports, telemetry

        telemetry.start()
        error_reports.start()
        gc.freeze()  # what is loaded stays: no collection needs to go through it
        gc.enable()  # see settings/site.py
