"""Static files: names with the hash of their content, which browsers cache permanently, and the
imports of JavaScript modules."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.exceptions import ImproperlyConfigured
from whitenoise.storage import CompressedManifestStaticFilesStorage

IMPORT = re.compile(r'^(?:import|export|\}).*?"(\.[^"]+)";$', re.MULTILINE)


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


def imported_by(*names: str) -> list[str]:
    """The static files that these modules import, directly and indirectly, sorted.

    Raises ImproperlyConfigured.
    """
    found: set[str] = set()
    waiting = [*names]
    while waiting:
        new = set(_imports(waiting.pop())) - found
        found |= new
        waiting += new
    return sorted(found - set(names))


@cache
def _imports(name: str) -> Iterable[str]:
    path = finders.find(name)
    if path is None:
        raise ImproperlyConfigured(f"There is no static file {name}.")
    folder = posixpath.dirname(name)
    return [
        posixpath.normpath(posixpath.join(folder, target))
        for target in IMPORT.findall(Path(path).read_text(encoding="utf-8"))
    ]
