"""When and where the last backup of this installation was made, for `manage.py doctor`."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings

from transcodio_site.files import write_atomically


@dataclass(frozen=True, slots=True)
class Record:
    """The last backup."""

    folder: str
    name: str
    time: str  # ISO 8601

    @property
    def age_days(self) -> float:
        """How long ago it was made."""
        age = datetime.now(UTC) - datetime.fromisoformat(self.time)
        return age.total_seconds() / 86_400


def write(folder: Path, name: str) -> None:
    """Note a new backup. Raises OSError."""
    now = datetime.now(UTC).isoformat()
    write_atomically(_path(), json.dumps(asdict(Record(str(folder), name, now))))


def read() -> Record | None:
    """The last backup; None if there is none, or if the file is damaged."""
    with suppress(OSError, ValueError, TypeError):
        record = Record(**json.loads(_path().read_text()))
        datetime.fromisoformat(record.time)
        return record
    return None


def _path() -> Path:
    return Path(settings.VAR_DIR) / "last_backup.json"
