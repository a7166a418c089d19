"""Where the database lies, and the user that it belongs to.

An ordinary user's database is the folder `postgres` in VAR_DIR. Root's belongs to another user, who
has to reach it. Where that user can get as far as VAR_DIR, it lies there too, and VAR_DIR opens to
the private group of that user. Where a folder above VAR_DIR is closed to others, as root's home is,
the database lies in a private folder below SERVER_HOMES, and `VAR_DIR/postgres` is a link to it. No
permission of a folder above VAR_DIR changes. The link alone says which database belongs to VAR_DIR:
without it the next start is a fresh one. Nothing below SERVER_HOMES is ever deleted here.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from transcodio_site.embedded.folders import EmbeddedError, check_free_space, set_access
from transcodio_site.embedded.server_user import ServerUser, nobody_uid

SERVER_HOMES = Path("/var/lib/transcodio-postgres")
OWNER_NOTE = "belongs-to"  # names VAR_DIR, for the operator who tidies up
INCOMPLETE_PREFIX = "postgres.new."  # of the folder of a cluster that is being made


@dataclass(frozen=True, slots=True)
class Cluster:
    """The folder of a database, which may not exist yet, and the user that Postgres runs as."""

    data: Path
    user: ServerUser

    @property
    def home(self) -> Path:
        """The folder around it. Postgres can enter, and we alone can write."""
        return self.data.parent


def data_folder(var: Path) -> Path:
    """Where the database of a data folder is, all links followed."""
    return Path(os.path.realpath(var / "postgres"))


def prepare_cluster(var: Path) -> Cluster:
    """Decides where the database lies and lets its user get there. Raises EmbeddedError."""
    if os.geteuid() != 0:
        cluster = Cluster(data_folder(var), ServerUser.current())
    else:
        cluster = _prepare_as_root(var)
    if not cluster.home.is_dir():
        raise EmbeddedError(
            f"The database of {var} should be in {cluster.data}, which is not there. Put it back, "
            f"or delete the link {var / 'postgres'} to start with an empty one."
        )
    check_free_space(cluster.home)
    return cluster


def remove_incomplete(cluster: Cluster) -> None:
    """Deletes what an earlier first start left that was cut off."""
    for folder in cluster.home.glob(f"{INCOMPLETE_PREFIX}*"):
        cluster.user.empty(folder)  # root may lack the right to look into it
        shutil.rmtree(folder, ignore_errors=True)


def _prepare_as_root(var: Path) -> Cluster:
    place = var / "postgres"
    _finish_move(var)
    user = ServerUser.for_database(place)
    if not place.is_symlink() and user.uid == nobody_uid() and not user.can_enter(var.parent):
        _move_to_server_home(var)
    data = data_folder(var)
    user = ServerUser.for_database(data)
    managed = data.parent in (Path(os.path.realpath(var)), SERVER_HOMES / data.parent.name)
    if managed and data.parent.is_dir() and user.uid == nobody_uid():
        _share_with(user, data, var)
    if data.parent.is_dir() and not user.can_enter(data if data.exists() else data.parent):
        raise EmbeddedError(
            f"The user of Postgres (id {user.uid}) cannot reach {data}. Set VAR_DIR to a folder "
            "that is not within a closed one, run Transcodio as another user, or set DATABASE_URL."
        )
    return Cluster(data, user)


def _share_with(user: ServerUser, data: Path, var: Path) -> None:
    """Lets the private group of Postgres pass through the folder around the database."""
    home = data.parent
    try:
        set_access(home, 0o710, uid=0, gid=user.gid)
        if data.exists() and ServerUser.owning(data) != user:  # made by an earlier release
            os.chown(data, user.uid, user.gid, follow_symlinks=False)
    except OSError as error:
        raise EmbeddedError(
            f"The owner of {home} cannot be changed ({error.strerror}), as Postgres needs it for "
            "root. Set VAR_DIR to a folder on a local disk, or run Transcodio as another user."
        ) from error
    if home.parent == SERVER_HOMES:
        note = home / OWNER_NOTE
        if not note.exists() or note.read_text() != f"{var}\n":
            note.write_text(f"{var}\n")


def _move_to_server_home(var: Path) -> None:
    """Gives the database a place below SERVER_HOMES; one that exists already moves there."""
    home = _make_server_home(var)
    try:
        _moving_link(var).symlink_to(home / "postgres")
    except OSError as error:
        home.rmdir()
        raise EmbeddedError(
            f"{var} is closed to the user of Postgres, and no link can be made in it "
            f"({error.strerror}). Set VAR_DIR to another folder, or set DATABASE_URL."
        ) from error
    _finish_move(var)


def _make_server_home(var: Path) -> Path:
    try:
        with suppress(FileExistsError):
            SERVER_HOMES.mkdir(mode=0o711)
        found = SERVER_HOMES.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or found.st_mode & 0o022:
            raise EmbeddedError(f"{SERVER_HOMES} is not a folder that root alone can write.")
        set_access(SERVER_HOMES, 0o711)
        return Path(tempfile.mkdtemp(dir=SERVER_HOMES, prefix=""))
    except OSError as error:
        raise EmbeddedError(
            f"A folder above {var} is closed to the user of Postgres, and {SERVER_HOMES} cannot be "
            f"used instead ({error.strerror}). Set VAR_DIR to a folder that is not within a closed "
            "one, run Transcodio as a user other than root, or set DATABASE_URL."
        ) from error


def _moving_link(var: Path) -> Path:
    """Becomes `VAR_DIR/postgres` when the database is in its new place, however often it takes."""
    return var / "postgres.moving"


def _finish_move(var: Path) -> None:
    link, place = _moving_link(var), var / "postgres"
    if not link.is_symlink():
        return
    data = link.readlink()
    if place.exists() and not data.exists():
        _move(place, data)
    if place.exists():  # it was copied: the original stays, under another name
        place.rename(var / "postgres.old")
    link.rename(place)


def _move(old: Path, new: Path) -> None:
    """By name on one file system, by copying to another one."""
    try:
        # To move a folder takes the right to write to it, which root may lack in a container.
        os.chown(old, 0, 0, follow_symlinks=False)
        old.rename(new)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(old, new)


def _copy(old: Path, new: Path) -> None:
    incomplete = Path(tempfile.mkdtemp(prefix=INCOMPLETE_PREFIX, dir=new.parent))
    copied = subprocess.run(
        ["cp", "-a", f"{old}/.", str(incomplete)], capture_output=True, text=True, check=False
    )
    if copied.returncode:
        raise EmbeddedError(f"{old} cannot be copied: {copied.stderr.strip().splitlines()[-1]}")
    incomplete.rename(new)
