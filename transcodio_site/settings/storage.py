"""Uploads, stored files, and static files."""

from __future__ import annotations

from transcodio_site.settings.env import BASE_DIR, HTTPS, VAR_DIR, env
from transcodio_site.storage_url import directory_from_url, storage_from_url

_url = env.str("STORAGE_URL", default="")  # no setting: it may have credentials
MEDIA_ROOT = directory_from_url(_url) or VAR_DIR / "media"
FILE_UPLOAD_HANDLERS = ["transcriptions.uploads.handler.UploadHandler"]
FILE_UPLOAD_PERMISSIONS = 0o600
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
STATIC_URL = "/static/"
# Without it, files are served from the source folders: `make run` needs no collectstatic step.
_collected = env.str("STATIC_ROOT", default="")
STATIC_ROOT = _collected or VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
_DJANGO = "django.contrib.staticfiles.storage"
_hashed = {
    "BACKEND": "transcodio_site.static_files.HashedStaticFilesStorage",
    # Not those of recordings: often root collects the files, and another user serves them.
    "OPTIONS": {"file_permissions_mode": 0o644, "directory_permissions_mode": 0o755},
}
STORAGES = {
    # Whether clients send files to the bucket, and fetch them from it, with signed URLs.
    "default": storage_from_url(_url, direct=env.bool("STORAGE_DIRECT", default=True)),
    "staticfiles": _hashed if _collected else {"BACKEND": f"{_DJANGO}.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = not _collected
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
# Files without a hash, which browsers must revalidate each time: modules of two releases would not
# fit together.
WHITENOISE_MAX_AGE = 0
WHITENOISE_ALLOW_ALL_ORIGINS = False  # no other site uses our files
# Changes to source files show without a restart.
WHITENOISE_AUTOREFRESH = not HTTPS and not _collected
