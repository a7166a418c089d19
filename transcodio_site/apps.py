import gc

from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "transcodio_site"
    verbose_name = "Transcodio"

    def ready(self) -> None:
        """Load our Celery application, which `shared_task` functions use, and start the configured
        monitoring."""
        from transcodio_site import celery  # noqa: F401
        from transcodio_site.monitoring import error_reports, telemetry

        telemetry.start()
        error_reports.start()
        gc.freeze()  # what is loaded now stays: no collection needs to visit it
        gc.enable()  # see settings/site.py
