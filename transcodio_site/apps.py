from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "transcodio_site"
    verbose_name = "Transcodio"

    def ready(self) -> None:
        """Tasks that are rung for go to our Celery application."""
        from transcodio_site import celery  # noqa: F401
