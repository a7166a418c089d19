"""A backup is restored into a new installation, which continues where the old one stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import global_settings
from django.core.files import File
from django.core.management import call_command

from accounts.models import User
from accounts.tokens import issue_token
from transcodio_site.testing import SAMPLE, Stack, wait_until
from transcodio_site.tests.backup_data import recording
from transcodio_site.tests.embedded_servers import query
from transcriptions.models import State, Transcription

PASSWORD = "correct horse battery"


class NewStack(Stack):
    """A stack whose engine is replaced: see `hold/deterministic_engine.py`."""

    @property
    def environment(self) -> dict[str, str]:
        """See `Stack`."""
        return super().environment | {"DETERMINISTIC_ENGINE": str(self.var)}


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Stack]:
    """A stack on an empty folder, not yet started."""
    stack = NewStack(tmp_path / "new")
    stack.var.mkdir()
    yield stack
    stack.stop()


def sign_in(stack: Stack, email: str) -> str:
    """Sign in with the password, and return the library."""
    with httpx.Client(base_url=stack.url, follow_redirects=True, timeout=60) as page:
        page.get("/accounts/login/")
        csrf = {"csrfmiddlewaretoken": page.cookies["csrftoken"]}
        form = {"login": email, "password": PASSWORD}
        return page.post("/accounts/login/", data=form | csrf).text


@pytest.mark.slow
@pytest.mark.covers("fault", "The database, the storage and the data folder are lost")
@pytest.mark.django_db(transaction=True)
def test_restored_installation_continues(
    alice: User, new: Stack, settings: Any, tmp_path: Path
) -> None:
    settings.PASSWORD_HASHERS = global_settings.PASSWORD_HASHERS  # those of the new installation
    settings.VAR_DIR, settings.MEDIA_ROOT = tmp_path, tmp_path / "media"
    alice.set_password(PASSWORD)
    alice.save()
    done, waiting, working = (
        recording(alice, state) for state in (State.COMPLETED, State.QUEUED, State.TRANSCRIBING)
    )
    for row in (waiting, working):
        row.source.delete(save=False)
        with SAMPLE.open("rb") as file:
            row.source.save("", File(file))
    _, token = issue_token(alice)
    call_command("backup", str(tmp_path / "backups"))

    restored = new.manage("restore", str(tmp_path / "backups"))
    assert "Restored" in restored.stdout, restored.stderr
    new.start()
    assert done.title.split()[0] in sign_in(new, alice.email)
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=f"{new.url}/api", headers=headers, timeout=60) as api:

        def current(row: Transcription) -> Any:
            return api.get(f"/transcriptions/{row.id}").json()

        def are_completed() -> bool:
            return all(current(row)["state"] == "completed" for row in (waiting, working))

        assert current(done)["segments"][0]["text"] == done.segments.get().text
        assert api.get(f"/transcriptions/{done.id}/audio").content == done.id.bytes
        kept = current(working)["segments"][0]
        wait_until(are_completed)
        assert current(working)["segments"][0] == kept
        assert len(current(working)["segments"]) > 3
    billed = "SELECT transcription FROM accounts_usagerecord WHERE billed"
    charged = {transcription for (transcription,) in query(new.var, billed)}
    assert charged == {waiting.id, working.id}
    report = json.loads(new.manage("doctor", "--json").stdout)
    assert [finding for finding in report["findings"] if finding["consequence"]] == []
