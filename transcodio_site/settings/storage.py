"""Uploads, stored files, and static files."""

from __future__ import annotations

from transcodio_site.settings.env import BASE_DIR, HTTPS, VAR_DIR

MEDIA_ROOT = VAR_DIR / "media"
FILE_UPLOAD_HANDLERS = ["transcriptions.uploads.handler.UploadHandler"]
FILE_UPLOAD_PERMISSIONS = 0o600
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# Files are served from the source folders: `make run` needs no collectstatic step.
WHITENOISE_USE_FINDERS = True
WHITENOISE_ALLOW_ALL_ORIGINS = False  # no other site uses our files
WHITENOISE_AUTOREFRESH = not HTTPS  # changes to static files show without a restart
