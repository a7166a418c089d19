"""The section on separate processes of docs/self-hosting.md, followed literally."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from transcodio_site import embedded
from transcodio_site.supervisor import free_port, is_healthy
from transcodio_site.testing import HOLD_FOLDER, ROOT, WAIT_S, Media, wait_until
from transcodio_site.tests.deployment.servers import substitute

pytestmark = pytest.mark.deploy

GUIDE = (ROOT / "docs" / "self-hosting.md").read_text()
BLOCK = re.compile(r"^```(sh|ini)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROCESS = re.compile(r"transcodio_site\.server|celery -A")
ADMIN = "admin@example.com"


def blocks() -> list[tuple[str, str]]:
    """Language and content of each block of the section, in order."""
    section = GUIDE.split("\n## Separate processes\n")[1].split("\n## ")[0]
    return BLOCK.findall(section)


@dataclass
class Installation:
    """A machine whose /opt, /etc and /var/lib are folders below `root`."""

    root: Path
    servers: Path
    port: int = field(default_factory=free_port)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        ignored = shutil.ignore_patterns(".*", "var", "node_modules", "__pycache__")
        shutil.copytree(ROOT, self.root / "opt" / "transcodio", ignore=ignored)
        for folder in ("etc/systemd/system", "var/lib", "bin"):
            (self.root / folder).mkdir(parents=True)
        for name in ("useradd", "systemctl"):  # they would change this machine
            program = self.root / "bin" / name
            program.write_text("#!/bin/sh\n")
            program.chmod(0o755)

    @property
    def folder(self) -> Path:
        return self.root / "opt" / "transcodio"

    @property
    def environment(self) -> dict[str, str]:
        """Without the variables of the tests: everything is in the file that the guide writes."""
        hidden = ("VAR_DIR", "DJANGO_SETTINGS_MODULE")
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        return kept | {
            "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}",
            "DJANGO_SUPERUSER_PASSWORD": "correct horse battery",
            "PYTHONPATH": str(HOLD_FOLDER),
            "HOLD_FILE": str(self.root / "hold"),
            "DETERMINISTIC_ENGINE": str(self.root),
        }

    def follow(self, language: str, content: str) -> None:
        """Follow the instructions of one block."""
        if language == "ini":
            self.configure(content)
        elif PROCESS.search(content):
            for line in content.splitlines():
                command = ["bash", "-c", f"exec {self.adapted(line)}"]
                self.processes.append(
                    subprocess.Popen(command, cwd=self.folder, env=self.environment)
                )
        else:
            self.run(self.adapted(content))

    def run(self, script: str) -> str:
        """Run commands in the folder of the installation. Return their output."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def adapted(self, script: str) -> str:
        """The script with this machine's paths. Nothing is downloaded: the packages are there."""
        environment = Path(sys.executable).parent.parent
        for old, new in {
            "python3 -m venv .venv": f"ln -s {environment} .venv",
            ".venv/bin/pip install": "test -x .venv/bin/python #",
            "runuser -u transcodio -- ": "",
            " --owner=transcodio": "",
            " --group=transcodio": "",
            f"createsuperuser --email {ADMIN}": f"createsuperuser --email {ADMIN} --noinput",
            "--port 8001": f"--port {self.port}",
        }.items():
            script = script.replace(old, new)
        return re.sub(r"(?<=[\s=])/(?=opt|etc|var/lib)", f"{self.root}/", script)

    def configure(self, example: str) -> None:
        """Write the example with the servers of the test."""
        text = substitute(
            example,
            {
                "postgresql://transcodio:password@db.example.com/transcodio": embedded.postgres_url(
                    self.servers
                ),
                "redis://cache.example.com:6379/0": embedded.redis_url(self.servers),
                "smtp+tls://user:password@mail.example.com:587": "consolemail://",
                "a-long-random-string": "a long random string, which is at least fifty characters",
            },
        )
        file = self.root / "etc" / "transcodio" / "transcodio.env"
        assert (file.stat().st_mode & 0o777) == 0o640
        file.write_text(self.adapted(text))

    def stop(self) -> list[int]:
        """Terminate the processes. Their exit statuses."""
        for process in self.processes:
            process.terminate()
        return [process.wait(WAIT_S) for process in self.processes]


@pytest.fixture
def installation() -> Iterator[Installation]:
    """An empty machine, and servers elsewhere."""
    folder = Path(tempfile.mkdtemp(prefix="transcodio-open-")).resolve()
    folder.chmod(0o755)
    with ExitStack() as started:
        started.callback(shutil.rmtree, folder, ignore_errors=True)
        servers = folder / "servers"
        started.enter_context(embedded.servers(servers))
        installed = Installation(folder / "root", servers)
        started.callback(installed.stop)
        yield installed


def test_separate_processes_work_as_documented(installation: Installation, media: Media) -> None:
    for language, content in blocks():
        installation.follow(language, content)
    assert len(installation.processes) == 4
    url = f"http://127.0.0.1:{installation.port}"
    wait_until(lambda: is_healthy(url))

    token = installation.run(f".venv/bin/python manage.py create_token {ADMIN}").splitlines()[-1]
    headers = {"Authorization": f"Bearer {token}", "X-Forwarded-Proto": "https"}
    with media.speech("talk.mp3", 6).open("rb") as file:
        response = httpx.post(
            f"{url}/api/transcribe",
            files={"file": file},
            headers=headers | {"Host": "transcodio.example.com"},
            timeout=WAIT_S,
        )
    assert response.status_code == 200, response.text
    assert response.json()["segments"]
    assert installation.stop() == [0, 0, 0, 0]
