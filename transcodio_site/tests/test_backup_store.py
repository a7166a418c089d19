"""The folder with backups: what happens to it when something fails."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from transcodio_site.backup.manifest import BackupError, Blob, Manifest, StoredFile
from transcodio_site.backup.store import Store
from transcodio_site.backup.verification import verify
from transcodio_site.testing import ROOT

INTERRUPTED = """
import sys
from pathlib import Path
from transcodio_site.backup.store import Store
store = Store(Path(sys.argv[1]))
with store.locked():
    store.add([b"finished"])
    with store.writer() as writer:
        writer.write(b"half of it")
        print("writing", flush=True)
        sys.stdin.read()
"""
CONTENTS = {"a.ogg": b"first", "b.ogg": b"second"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "backups")


def save(store: Store, name: str, contents: dict[str, bytes]) -> Manifest:
    """A backup of these files."""
    files = tuple(StoredFile(file, "", store.add([data])) for file, data in contents.items())
    manifest = Manifest(name, "0.1.0", (("accounts", "0001_initial"),), (), {}, files, {})
    store.publish(manifest)
    return manifest


def paths(store: Store) -> list[Path]:
    return [path for path in store.folder.rglob("*") if path.is_file()]


def flip_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_same_content_is_stored_once_and_only_for_this_user(store: Store) -> None:
    with store.locked():
        save(store, "1", CONTENTS)
        before = len(paths(store))
        save(store, "2", CONTENTS | {"copy.ogg": b"first"})
    assert len(paths(store)) == before + 1  # the manifest
    assert store.names() == ["1", "2"]
    assert store.newest() == store.manifest("2")
    assert {path.stat().st_mode & 0o777 for path in paths(store)} == {0o600}
    folders = [store.folder, *(path for path in store.folder.rglob("*") if path.is_dir())]
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}


@pytest.mark.covers("fault", "A bit of a backup flips on its disk")
def test_flipped_bit_is_found_and_named(store: Store) -> None:
    with store.locked():
        manifest = save(store, "1", CONTENTS)
        save(store, "2", {"a.ogg": b"first"})
    assert verify(store, store.names()) == []
    damaged, missing = (store.path(file.blob) for file in manifest.files)
    flip_bit(damaged)
    missing.unlink()
    assert verify(store, store.names()) == [
        f"1: a.ogg: {damaged} is damaged.",
        f"1: b.ogg: {missing} is missing.",
        f"2: a.ogg: {damaged} is damaged.",
    ]


@pytest.mark.covers("fault", "A bit of a backup flips on its disk")
def test_damaged_manifest_is_named_and_protects_all_contents(store: Store) -> None:
    with store.locked():
        for name in ("1", "2", "3"):
            save(store, name, {"a.ogg": name.encode()})
        before = len(paths(store))
        flip_bit(store.folder / "backups" / "2.json")
        (problem,) = verify(store, store.names())
        assert problem.startswith("The backup 2 is damaged")
        flip_bit(store.folder / "backups" / "3.json")
        assert store.newest() == store.manifest("1")
        with pytest.raises(BackupError, match="The backup 2 is damaged"):
            store.delete_old(keep=2)
    assert len(paths(store)) == before - 1  # only the manifest of the oldest


def test_contents_are_deleted_with_the_last_backup_that_has_them(store: Store) -> None:
    with store.locked():
        save(store, "1", CONTENTS)
        save(store, "2", {"a.ogg": b"first"})
        save(store, "3", {"c.ogg": b"third"})
        assert store.delete_old(keep=2) == 1
        assert store.names() == ["2", "3"]
        kept = {path.read_bytes() for path in store.folder.glob("blobs/*/*")}
        assert kept == {b"first", b"third"}
        assert store.delete_old(keep=5) == 0
    assert verify(store, store.names()) == []


@pytest.mark.covers("fault", "A backup is killed while it writes (SIGKILL)")
def test_killed_backup_leaves_earlier_ones_and_is_cleaned_up(store: Store) -> None:
    with store.locked():
        save(store, "1", CONTENTS)
    command = [sys.executable, "-c", INTERRUPTED, str(store.folder)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "writing\n"
        with pytest.raises(BackupError, match="Another backup is being written"):
            with store.locked():
                pass
        process.send_signal(signal.SIGKILL)
    assert store.names() == ["1"]
    assert verify(store, ["1"]) == []
    assert list(store.folder.glob("new/*"))
    with store.locked():
        assert not list(store.folder.glob("new/*"))
        save(store, "2", {"a.ogg": b"finished"})
    assert verify(store, store.names()) == []


def test_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.odt").touch()
    with pytest.raises(BackupError, match="contains other files"):
        with Store(tmp_path).locked():
            pass


def test_manifest_of_a_newer_format_names_the_release_that_reads_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    newer = Manifest("1", "7.0", (), (), {}, (StoredFile("a", "", Blob("0", 1)),), {})
    assert Manifest.parsed(newer.serialized()) == newer
    with monkeypatch.context() as patch:
        patch.setattr("transcodio_site.backup.manifest.FORMAT", 2)
        text = newer.serialized()
    with pytest.raises(BackupError, match=r"Transcodio 7\.0 or newer is needed"):
        Manifest.parsed(text)
