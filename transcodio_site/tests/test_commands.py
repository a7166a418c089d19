"""The management commands, run in separate processes, and their error messages."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from django.core.management import CommandError, call_command
from django.db.models import Sum
from django.utils import timezone

from accounts.models import Outcome, UsageDay, UsageRecord, User
from accounts.tokens import find_token
from accounts.usage import ledger
from gpu.tests import tiny
from gpu.tests.wer import word_error_rate
from transcodio_site.demo_account import demo_account
from transcodio_site.embedded.postgres import Postgres
from transcodio_site.embedded.server import Server
from transcodio_site.embedded.valkey import Valkey
from transcodio_site.supervisor import free_port, running_url
from transcodio_site.supervisor.ports import responds
from transcodio_site.testing import ROOT, SAMPLE_TEXT, WAIT_S, Media, Stack, wait_until
from transcodio_site.tests.embedded_servers import has_exited
from transcriptions.models import Transcription
from transcriptions.processing.history import timeline


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack that only this test uses, so that it can stop and kill it."""
    stack = Stack(tmp_path / "var")
    stack.var.mkdir()
    yield stack
    stack.stop()


def processes_of(var: Path) -> list[psutil.Process]:
    """All processes of a data folder, found by environment or command line."""
    processes = []
    for process in psutil.process_iter():
        try:
            has_variable = (
                process.environ().get("VAR_DIR") == str(var) and process.name() != "pytest"
            )
            if has_variable or str(var) in " ".join(process.cmdline()):
                processes.append(process)
        except psutil.Error:
            pass
    return processes


def login(output: list[str]) -> tuple[str, str, str]:
    """The email address, password and token that `up` prints."""
    match = re.search(r"sign in as  (\S+)  password  (\S+)\s+API token   (\S+)", "".join(output))
    assert match
    return match[1], match[2], match[3]


def child(stack: Stack, argument: str) -> psutil.Process:
    assert stack.process
    children = psutil.Process(stack.process.pid).children()
    return next(c for c in children if not has_exited(c) and argument in c.cmdline())


def healthy(stack: Stack) -> bool:
    try:
        return httpx.get(f"{stack.url}/health", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def test_up_prints_working_login_and_token(stack: Stack) -> None:
    assert f"Transcodio is ready: {stack.url}" in "".join(stack.output)
    email, password, token = login(stack.output)
    with httpx.Client(base_url=stack.url, follow_redirects=True) as page:
        page.get("/accounts/login/")
        form = {"login": email, "password": password}
        csrf = {"csrfmiddlewaretoken": page.cookies["csrftoken"]}
        response = page.post("/accounts/login/", data=form | csrf)
        assert "upload-box" in response.text
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{stack.url}/api/transcriptions", headers=headers).status_code == 200


@pytest.mark.slow
@pytest.mark.covers("fault", "The supervisor is killed and started again immediately")
def test_up_replaces_and_stops_all_processes_and_keeps_demo_account(own_stack: Stack) -> None:
    own_stack.start()
    first = login(own_stack.output)
    assert own_stack.process
    children = psutil.Process(own_stack.process.pid).children()
    started = [c for c in children if c.name().startswith("python")]
    assert len(started) == 4  # web, worker, live, beat
    for process in started:
        process.suspend()  # it will not obey SIGTERM
    own_stack.process.kill()
    own_stack.process.wait()
    own_stack.output.clear()
    own_stack.start()
    assert all(map(has_exited, started))
    assert login(own_stack.output) == first
    wait_until(lambda: healthy(own_stack))
    own_stack.process.send_signal(signal.SIGINT)
    assert own_stack.process.wait(WAIT_S) == 0
    assert processes_of(own_stack.var) == []
    assert not (own_stack.var / "address.json").exists()


@pytest.mark.slow
@pytest.mark.covers("fault", "The web server, the worker or beat is killed")
@pytest.mark.parametrize("argument", ["transcodio_site.server", "worker", "beat"])
def test_killed_process_is_restarted(stack: Stack, argument: str) -> None:
    killed = child(stack, argument)
    killed.kill()
    wait_until(lambda: any(c.pid != killed.pid for c in [_child_or_none(stack, argument)] if c))
    wait_until(lambda: healthy(stack))


@pytest.mark.slow
@pytest.mark.covers("fault", "Postgres or Valkey is killed while the service runs")
@pytest.mark.parametrize("server", [Postgres, Valkey])
def test_killed_server_is_restarted(stack: Stack, server: type[Server]) -> None:
    process = server(stack.var).running()
    assert process
    lines_before = len(stack.output)
    process.kill()
    expected = f"{server.name} stopped. Restarting it.\n"
    wait_until(lambda: expected in stack.output[lines_before:])
    wait_until(lambda: healthy(stack))


@pytest.mark.covers("fault", "A killed service has left its address file behind")
def test_url_of_killed_stack_is_ignored(stack: Stack, tmp_path: Path, settings: Any) -> None:
    exited = subprocess.Popen(["true"])
    exited.wait()
    address = {"url": stack.url, "pid": os.getpid()}
    settings.VAR_DIR = tmp_path
    for pid, url in ((os.getpid(), stack.url), (exited.pid, None)):
        (tmp_path / "address.json").write_text(json.dumps(address | {"pid": pid}))
        assert running_url() == url


def test_up_does_not_print_changed_password(db: None, settings: Any, tmp_path: Path) -> None:
    settings.VAR_DIR = tmp_path
    account = demo_account()
    assert demo_account() == account
    user = User.objects.get(email=account.email)
    user.set_password("correct horse battery")
    user.save()
    assert demo_account().password == "(the one that you chose)"
    assert demo_account().token == account.token


@pytest.mark.parametrize("is_active", [True, False])
def test_up_keeps_password_and_state_of_demo_account(
    db: None, settings: Any, tmp_path: Path, is_active: bool
) -> None:
    settings.VAR_DIR = tmp_path
    first = demo_account()
    user = User.objects.get(email=first.email)
    user.set_password("correct horse battery")
    user.is_active = is_active
    user.save()
    user.api_tokens.all().delete()
    account = demo_account()
    assert account.password == "(the one that you chose)"
    assert (find_token(account.token) is not None) == is_active
    user.refresh_from_db()
    assert user.is_active == is_active
    assert user.check_password("correct horse battery")


def _child_or_none(stack: Stack, argument: str) -> psutil.Process | None:
    try:
        return child(stack, argument)
    except (StopIteration, psutil.Error):
        return None


@pytest.mark.parametrize("port", ["taken", pytest.param("99999", marks=pytest.mark.slow)])
def test_unusable_port_is_reported_in_one_line(tmp_path: Path, port: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        number = str(listener.getsockname()[1]) if port == "taken" else port
        result = Stack(tmp_path).manage("up", "--port", number)
    assert result.returncode == 1
    assert number in result.stderr
    assert result.stderr.count("\n") == 1
    assert processes_of(tmp_path) == []


def test_create_token_prints_only_the_token(stack: Stack) -> None:
    result = stack.manage("create_token", "Robot@Example.com", "--create-user", "--name", "ci")
    token = result.stdout.strip()
    assert re.fullmatch(r"tk_[\w-]{40,}", token)
    assert result.stderr == ""
    headers = {"Authorization": f"Bearer {token}"}
    listing = httpx.get(f"{stack.url}/api/transcriptions", headers=headers)
    assert listing.json() == {"items": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nobody@example.com"], "Add --create-user"),
        (["not-an-address", "--create-user"], "not an email address"),
    ],
)
def test_create_token_reports_invalid_user(
    stack: Stack, arguments: list[str], message: str
) -> None:
    result = stack.manage("create_token", *arguments)
    assert result.returncode == 1
    assert result.stdout == ""
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_demo_prints_text_and_writes_exports(stack: Stack) -> None:
    result = stack.manage("demo")
    assert result.returncode == 0, result.stderr
    texts = re.findall(r"^\[ *[\d.]+ - +[\d.]+\]  (.+)$", result.stdout, re.MULTILINE)
    assert len(texts) > 5
    assert word_error_rate(SAMPLE_TEXT.read_text(), " ".join(texts)) < 0.10
    assert re.search(r"43\.\d s of audio in [\d.]+ s: [\d.]+ x real time", result.stdout)
    for suffix, start in (("txt", "Good"), ("srt", "1\n00:"), ("vtt", "WEBVTT"), ("json", "{")):
        path = stack.var / "demo" / f"recording.{suffix}"
        assert str(path) in result.stdout
        assert path.read_text().startswith(start)


@pytest.mark.slow
def test_demo_fails_without_text(stack: Stack, media: Media) -> None:
    for path, message in (
        (media.silence("silence.mp3", 3), "No speech was found"),
        (media.bytes("text.mp3", b"Dear diary"), "not a recording"),
        (media.silent_film("film.mp4"), "no sound"),
    ):
        with pytest.raises(AssertionError, match=f"CommandError: .*{message}"):
            stack.shell(
                f"import django.core.management as m; m.call_command('demo', {str(path)!r})"
            )
    result = stack.manage("demo", "/nonexistent.mp3")
    assert result.returncode == 1
    assert "make demo FILE=" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_demo_starts_and_stops_its_own_stack_with_any_engine(
    tmp_path: Path, media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "stt-tiny"
    tiny.save(model)
    monkeypatch.setenv("STT_ENGINE", "kyutai")
    monkeypatch.setenv("STT_MODEL_ID", str(model))
    monkeypatch.setenv("SITE_URL", "https://example.com")  # it is not behind its proxy
    stack = Stack(tmp_path / "var")
    stack.var.mkdir()
    result = stack.manage("demo", str(media.speech("short.mp3", 6)))
    assert result.returncode == 0, result.stderr
    export = json.loads((stack.var / "demo" / "short.json").read_text())
    assert export["segments"][0]["text"]
    assert "harbor" not in result.stdout  # the tiny model has random weights
    assert processes_of(stack.var) == []


def test_web_process_imports_no_heavy_libraries() -> None:
    code = (
        "import sys; import transcodio_site.asgi, transcodio_site.server;"
        "heavy = {'torch', 'transformers', 'faster_whisper', 'ctranslate2', 'onnx', 'onnxruntime',"
        " 'av', 'modal', 'docx', 'fpdf', 'fontTools', 'uharfbuzz', 'PIL'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_running_web_process_maps_no_model_libraries(stack: Stack) -> None:
    maps = Path(f"/proc/{child(stack, 'transcodio_site.server').pid}/maps").read_text()
    assert "site-packages" in maps
    for library in ("libtorch", "ctranslate2", "onnxruntime", "libavcodec"):
        assert library not in maps


def test_seed_demo_creates_consistent_usage(db: None) -> None:
    call_command("seed_demo", users=12, days=30, stdout=StringIO())
    assert User.objects.filter(email__endswith="@seeded.example").count() == 12
    attempts = UsageRecord.objects.exclude(outcome=Outcome.CORRECTION)
    assert attempts.count() > 20
    sums = UsageRecord.objects.filter(billed=True).aggregate(ms=Sum("audio_ms"))
    days = UsageDay.objects.aggregate(ms=Sum("billed_ms"), attempts=Sum("attempts"))
    assert days == {"ms": sums["ms"], "attempts": attempts.count()}
    assert not UsageRecord.objects.filter(created_at__gt=timezone.now()).exists()
    for user in User.objects.filter(email__endswith="@seeded.example"):
        plan = user.effective_plan
        max_ms = (plan.max_minutes or 10_000) * 60_000
        assert not attempts.filter(user=user, created_at__lt=user.date_joined).exists()
        assert not attempts.filter(user=user, audio_ms__gt=max_ms).exists()
        assert ledger.billed_ms(user.pk, timezone.now()) <= (plan.monthly_minutes or 0) * 60_000
    row = Transcription.objects.filter(state="completed").first()
    assert row
    assert row.text.startswith("Good morning")
    assert timeline(row)[-1].step.phase == "completed"
    for row in Transcription.objects.all():
        decoded = row.steps.filter(phase="decode").count()
        assert decoded == attempts.filter(transcription=row.id).count()
    with pytest.raises(CommandError, match="already exists"):
        call_command("seed_demo")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("SIGNUP", "maybe", "set it to open, invited or closed"),
        ("PORT", "abc", "PORT='abc' is not valid"),
        ("DATABASE_URL", "postgresql://127.0.0.1:9/nobody", "check DATABASE_URL"),
    ],
)
def test_invalid_setting_is_reported_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    result = Stack(tmp_path).manage("up", "--port", str(free_port()))
    assert result.returncode == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.slow
def test_configured_providers_are_offered_on_the_login_page(stack: Stack) -> None:
    names = ("GOOGLE", "GITHUB", "MICROSOFT")
    environment = stack.environment | {f"{name}_CLIENT_ID": f"id-of-{name}" for name in names}
    code = """
from django.test import Client
page = Client(HTTP_HOST="127.0.0.1").get("/accounts/login/").content.decode()
for name in ("google", "github", "microsoft"):
    path = f"/accounts/{name}/login/?process=login"
    print(path in page, Client(HTTP_HOST="127.0.0.1").get(path)["Location"])
"""
    command = [sys.executable, "manage.py", "shell", "--command", code]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()[-3:]
    urls = ("accounts.google.com/", "github.com/login/", "login.microsoftonline.com/")
    for line, name, url in zip(lines, names, urls, strict=True):
        assert line.startswith(f"True https://{url}")
        assert f"client_id=id-of-{name}" in line
        assert "email" in line.lower() or name == "MICROSOFT"


def test_web_server_answers_the_probe_of_the_supervisor_without_a_line_in_the_log(
    stack: Stack,
) -> None:
    port = int(stack.url.rsplit(":", 1)[1])
    lines = stack.log().count("\n")
    assert all(responds("127.0.0.1", port, WAIT_S) for _ in range(3))
    new = stack.log().splitlines()[lines:]  # other processes may write, too
    assert [line for line in new if "PING" in line or "Traceback" in line] == []
    assert not responds("127.0.0.1", free_port(), WAIT_S)
