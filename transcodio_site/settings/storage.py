"""Uploads, stored files, and static files."""

from __future__ import annotations

from transcodio_site.settings.env import BASE_DIR, HTTPS, VAR_DIR, env

MEDIA_ROOT = VAR_DIR / "media"
FILE_UPLOAD_HANDLERS = ["transcriptions.uploads.handler.UploadHandler"]
FILE_UPLOAD_PERMISSIONS = 0o600
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
STATIC_URL = "/static/"
# Without it, files are served from the source folders: `make run` needs no collectstatic step.
_collected = env.str("STATIC_ROOT", default="")
STATIC_ROOT = _collected or VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "transcodio_site.static_files.HashedStaticFilesStorage"
        if _collected
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not _collected
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
WHITENOISE_ALLOW_ALL_ORIGINS = False  # no other site uses our files
# Changes to source files show without a restart.
WHITENOISE_AUTOREFRESH = not HTTPS and not _collected
