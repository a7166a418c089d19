"""The Django project: settings, routes, the embedded servers and the commands that run it all."""

from transcodio_site.celery import app as celery_app

__version__ = "0.1.0"
__all__ = ["__version__", "celery_app"]
