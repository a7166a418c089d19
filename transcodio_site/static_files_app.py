"""Which static files `collectstatic` leaves out."""

from __future__ import annotations

from django.contrib.staticfiles.apps import StaticFilesConfig


class StaticFilesApp(StaticFilesConfig):
    """Without django-ninja's pages: our reference of the API replaces them, and they are large."""

    ignore_patterns = [*StaticFilesConfig.ignore_patterns, "ninja"]
