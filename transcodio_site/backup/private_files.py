"""What an installation keeps outside its database and its storage: secrets in VAR_DIR."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from transcodio_site.backup.manifest import Blob
from transcodio_site.backup.store import Store
from transcodio_site.files import write_atomically
from transcodio_site.settings.env import env

SECRET_KEY = "secret_key"  # noqa: S105 - the name of the file
# Without it, the next start would give the demo account a new password, and enable it again.
DEMO_ACCOUNT = "demo_account.json"


def back_up(store: Store) -> dict[str, Blob]:
    """Store them. Raises OSError."""
    contents = {SECRET_KEY: settings.SECRET_KEY.encode()}
    demo_account = Path(settings.VAR_DIR) / DEMO_ACCOUNT
    if demo_account.is_file():
        contents[DEMO_ACCOUNT] = demo_account.read_bytes()
    return {name: store.add([content]) for name, content in contents.items()}


def restore(blobs: dict[str, Blob], store: Store) -> bool:
    """Write them. Return False if the next start will not use the secret key of the backup, because
    the variable SECRET_KEY has another one. Raises OSError."""
    key_is_set = bool(env.str("SECRET_KEY", default=""))
    for name, blob in blobs.items():
        if name == DEMO_ACCOUNT or not key_is_set:
            write_atomically(Path(settings.VAR_DIR) / name, _read(store, blob))
    return not key_is_set or _read(store, blobs[SECRET_KEY]) == settings.SECRET_KEY


def _read(store: Store, blob: Blob) -> str:
    with store.open(blob) as file:
        return file.read().decode()
