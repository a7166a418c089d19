"""What only the real package can show; `make test-slow` runs these tests where it is installed."""

from __future__ import annotations

import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

from gpu.diarization.clustering import SpeakerLimits
from gpu.diarization.modal_app import PACKAGES
from gpu.diarization.pyannote import PyannoteDiarizer
from gpu.tests.diarization.package import is_installed
from gpu.tests.diarization.test_pyannote import diarize
from gpu.types import Audio
from transcodio_site.testing import ROOT

needs_package = pytest.mark.skipif(
    not is_installed(), reason="pyannote.audio is not installed: `make test-slow` installs it"
)


@needs_package
@pytest.mark.parametrize(("least", "most"), [(1, 1), (2, 2), (3, 4)])
def test_number_of_speakers_can_be_given(
    pyannote_model: str, tones: Audio, least: int, most: int
) -> None:
    last = diarize(PyannoteDiarizer(pyannote_model, "cpu"), tones, SpeakerLimits(least, most))
    assert least <= len({turn.speaker for turn in last.turns}) <= most


@needs_package
def test_package_reports_nothing_to_its_makers(pyannote_model: str) -> None:
    PyannoteDiarizer(pyannote_model, "cpu").load()
    from pyannote.audio.telemetry.metrics import is_metrics_enabled

    assert not is_metrics_enabled()


@pytest.mark.slow
def test_everything_works_with_the_real_package(tmp_path: Path) -> None:
    """In an environment that adds it to the packages of this one."""
    if is_installed():
        return  # the tests run here already
    python = _environment(tmp_path)
    here = Path("gpu/tests/diarization")
    tests = [
        here / "test_pyannote.py",
        here / Path(__file__).name,
        "gpu/tests/modal/test_diarizer.py",
    ]
    command = ["-m", "pytest", "-p", "no:cacheprovider", "-rs", *map(str, tests)]
    done = subprocess.run(
        [str(python), *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pyannote.audio is not installed" not in done.stdout


def _environment(folder: Path) -> Path:
    """The Python of the environment. It uses the tests' torch, for which there may be no
    torchaudio."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    installed = Path(sysconfig.get_path("purelib"))
    own = next(folder.glob("lib/python*/site-packages"))
    (own / "tests.pth").write_text(f"{installed}\n")
    packages = [each for each in PACKAGES if each.startswith(("pyannote", "torchaudio"))]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    # Without a GPU there is no library of CUDA; only functions that are not used need this one.
    for library in own.glob("torchaudio/lib/*.so"):
        library.unlink()
    return python
