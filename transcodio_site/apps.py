from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "transcodio_site"
    verbose_name = "Transcodio"

    def ready(self) -> None:
        """Load our Celery application, which `shared_task` functions use."""
        from transcodio_site import celery  # noqa: F401
