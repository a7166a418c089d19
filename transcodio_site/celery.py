"""The Celery application. Its settings live in `settings.py` under the prefix CELERY_."""

from __future__ import annotations

import os
import warnings

from celery import Celery
from celery.platforms import SecurityWarning  # type: ignore[attr-defined]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "transcodio_site.settings")
# It warns root of pickled messages. Ours are JSON, and untrusted media is touched by a guarded
# subprocess alone.
warnings.simplefilter("ignore", SecurityWarning)

app = Celery("transcodio")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(
    [
        "transcriptions.notifications",
        "transcriptions.operations",
        "transcriptions.processing",
        "transcriptions.webhooks",
    ]
)
