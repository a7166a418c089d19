from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "transcodio_site"
    verbose_name = "Transcodio"

    def ready(self) -> None:
        """Load our Celery application: `shared_task` functions belong to the one that is loaded."""
        from transcodio_site import celery  # noqa: F401
