"""Run by `manage.py shell`: prints what the service has stored, as one line of JSON."""

import json

from django.conf import settings
from django.core.files.storage import default_storage

from accounts.models import UsageRecord
from transcriptions.models import Transcription

rows = Transcription.objects.all()
in_use = {name for row in rows.values_list("source", "audio") for name in row if name}
files = {f"recordings/{name}" for name in default_storage.listdir("recordings")[1]}
charges: dict[str, list[float]] = {}
for record in UsageRecord.objects.filter(billed=True):
    charges.setdefault(str(record.transcription), []).append(record.audio_seconds)
print(
    json.dumps(
        {
            "durations": {str(row.id): row.duration for row in rows},
            "states": {str(row.id): row.state for row in rows},
            "leased": [str(row.id) for row in rows.with_expired_lease()],
            "charges": charges,
            "orphans": sorted(files - in_use),
            "missing": sorted(in_use - files),
            "temporary": sorted(path.name for path in settings.FILE_UPLOAD_TEMP_DIR.iterdir()),
        }
    )
)
