"""What the command line needs and what its wheel contains."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from transcodio_site.testing import ROOT, WAIT_S

MODULES = (
    *("__init__", "__main__", "audio", "client", "export_options", "files", "live"),
    *("live_connection", "live_output", "main", "output"),
)


def test_cli_imports_nothing_of_the_service(tmp_path: Path) -> None:
    code = "import sys, transcodio_site.cli.main; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert {"httpx", "rich", "websockets"} <= loaded
    assert not loaded & {
        "django",
        "celery",
        "pydantic",
        "torch",
        "numpy",
        "modal",
        "transcriptions",
    }


@pytest.mark.slow
def test_wheel_contains_only_the_cli(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT)],
        check=True,
        timeout=WAIT_S,
    )
    (path,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        files = [name for name in wheel.namelist() if ".dist-info/" not in name]
        (metadata,) = [name for name in wheel.namelist() if name.endswith("/METADATA")]
        metadata_text = wheel.read(metadata).decode()
        requirements = re.findall(r"^Requires-Dist: (\w+)[^;\n]*$", metadata_text, re.MULTILINE)
        (entry_points,) = [name for name in wheel.namelist() if name.endswith("/entry_points.txt")]
        assert b"transcodio = transcodio_site.cli.main:main" in wheel.read(entry_points)
    assert requirements == ["httpx", "rich", "websockets"]
    assert set(files) == {
        "transcodio_site/__init__.py",
        *(f"transcodio_site/cli/{name}.py" for name in MODULES),
    }
