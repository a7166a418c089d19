"""A running service with a transcript of four hours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transcodio_site.supervisor import free_port, is_healthy

ROOT = Path(__file__).parent.parent.parent
STARTUP_TIMEOUT_S = 120

CREATE = """
import json
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone
from accounts.models import User
from benchmarks.exports import spoken_words
from itertools import groupby
from transcriptions.models import AudioAnalysis, Segment, Speaker, State, Transcription

words = spoken_words(40_000)
scale = 4 * 3600 / words[-1].end
user = User.objects.create_user(email="reader@example.com", password="long enough to be one")
row = Transcription.objects.create(owner=user, title="Four hours", source="none", source_bytes=1,
    language="en", state=State.COMPLETED, completed_at=timezone.now(), duration=4 * 3600.0)
segments = []
for number, (_, sentence) in enumerate(groupby(words, key=lambda word: word.segment), 1):
    sentence = list(sentence)
    speaker = int(sentence[0].speaker[-1])
    stored = [{"start": round(word.start * scale, 3), "end": round(word.end * scale, 3),
               "text": word.text, "probability": 0.3 if index % 25 == 0 else 0.95,
               "speaker": speaker} for index, word in enumerate(sentence)]
    segments.append(Segment(transcription=row, number=number, start=stored[0]["start"],
        end=stored[-1]["end"], text=" ".join(word.text for word in sentence), words=stored,
        speaker=speaker))
Segment.objects.bulk_create(segments, 500)
for number in {segment.speaker for segment in segments}:
    Speaker.objects.create(transcription=row, number=number)
AudioAnalysis.objects.create(transcription=row, peaks=[50] * 800)
session = SessionStore()
session[SESSION_KEY], session[HASH_SESSION_KEY] = str(user.pk), user.get_session_auth_hash()
session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
session.create()
print(json.dumps({"id": str(row.id), "session": session.session_key, "words": len(words),
    "segments": len(segments)}))
"""


@contextmanager
def service(var: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The URL of the service, and the `id`, `session`, `words` and `segments` of its transcript."""
    port = free_port()
    environment = os.environ | {"VAR_DIR": str(var), "RATE_LIMIT_PAGES": "100000/minute"}
    command = [sys.executable, "manage.py", "up", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as running:
        try:
            deadline = time.monotonic() + STARTUP_TIMEOUT_S
            while not is_healthy(url) and time.monotonic() < deadline:
                time.sleep(0.2)
            shell = [sys.executable, "manage.py", "shell", "--command", CREATE]
            done = subprocess.run(
                shell, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True
            )
            yield url, json.loads(done.stdout.splitlines()[-1])
        finally:
            running.terminate()
