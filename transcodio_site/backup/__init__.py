"""Backups of an installation: its database, its files and its secret key, and how to restore them.

A backup folder holds any number of backups. What they contain is stored under its SHA-256, so that
a backup adds only what has changed.
"""

from __future__ import annotations

from transcodio_site.backup.creation import Created, create
from transcodio_site.backup.manifest import BackupError
from transcodio_site.backup.restoration import Restored, restore
from transcodio_site.backup.store import Store
from transcodio_site.backup.verification import verify

__all__ = ["BackupError", "Created", "Restored", "Store", "create", "restore", "verify"]
