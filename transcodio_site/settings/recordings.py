"""The processing of recordings."""

from __future__ import annotations

import os

from transcodio_site.settings.env import env
from transcodio_site.settings.queues import CELERY_WORKER_CONCURRENCY

MAX_FILE_SIZE_MB = env.int("MAX_FILE_SIZE_MB", default=2048)
MAX_DURATION_SECONDS = env.int("MAX_DURATION_SECONDS", default=4 * 3600)
LEASE_SECONDS = env.int("LEASE_SECONDS", default=10)
ENGINE_SILENCE_SECONDS = env.int("ENGINE_SILENCE_SECONDS", default=900)
# A quarter of the threads is left to the recordings of other accounts.
JOBS_PER_ACCOUNT = env.int("JOBS_PER_ACCOUNT", default=max(1, CELERY_WORKER_CONCURRENCY * 3 // 4))
# Live sessions at the same time, each of which keeps a thread of a worker busy: on the CPU, Whisper
# needs about a third of a core for each.
MAX_LIVE_SESSIONS = env.int("MAX_LIVE_SESSIONS", default=2 * (os.cpu_count() or 1))
MAX_LIVE_SESSIONS_PER_USER = env.int("MAX_LIVE_SESSIONS_PER_USER", default=2)
LIVE_IDLE_SECONDS = env.int("LIVE_IDLE_SECONDS", default=30 * 60)  # without audio, then one ends
STT_ENGINE = env.str("STT_ENGINE", default="whisper")
DIARIZER = env.str("DIARIZER", default="embedded")
# Webhooks to loopback and private addresses: for development, or if all users are trusted.
WEBHOOK_ALLOW_PRIVATE = env.bool("WEBHOOK_ALLOW_PRIVATE", default=False)
# The GPU bill: a function that takes the first and the last day and returns USD by day.
BILL_BY_DAY = "gpu.modal.billing.cost_by_day"
# Variables of the engines (WHISPER_MODEL, ...) are read in gpu/config.py, which imports no Django.
