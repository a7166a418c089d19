"""Static files with the hash of their content in their names, which browsers cache permanently."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedStaticFilesStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """`collectstatic` writes every file with its hash, and with gzip and Brotli copies.

    Modules import each other by relative paths, which must have the hashes too: a cached module
    would otherwise import another one of a later release.
    """

    support_js_module_import_aggregation = True


def check_collected() -> None:
    """Refuse STATIC_ROOT without files: every page would fail. Raises ImproperlyConfigured."""
    is_hashed = "HashedStaticFilesStorage" in settings.STORAGES["staticfiles"]["BACKEND"]
    manifest = Path(settings.STATIC_ROOT) / HashedStaticFilesStorage.manifest_name
    if is_hashed and not manifest.is_file():
        raise ImproperlyConfigured(
            f"There are no static files in STATIC_ROOT={settings.STATIC_ROOT}. "
            "Run: manage.py collectstatic --noinput"
        )
