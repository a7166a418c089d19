"""The benchmark runs, and writes results in the expected format."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROW = {
    "rows",
    "step_ms",
    "step_ms_p95",
    "rtfx",
    "streams",
    "peak_bytes",
    "usd_per_audio_minute",
    "bandwidth_share",
}


@pytest.mark.slow
def test_benchmark_writes_the_expected_results(tmp_path: Path) -> None:
    options = ["--size", "tiny", "--device", "cpu", "--rows", "1", "4"]
    options += ["--long-seconds", "20", "--baseline-seconds", "2"]
    command = [sys.executable, "-m", "benchmarks.kyutai", *options, "--results", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    result = json.loads((tmp_path / "kyutai-cpu-tiny.json").read_text())
    assert result["size"] == "tiny"
    assert result["baseline_rtfx"] > 0
    assert result["hour_s"] > 0
    assert [row["rows"] for row in result["rows"]] == [1, 4]
    for row in result["rows"]:
        assert set(row) == ROW
        # 806 steps of 80 ms decode a window of 60 s with the silence around it.
        assert row["rtfx"] * row["step_ms"] / 1e3 == pytest.approx(row["rows"] * 60 / 806, rel=0.01)
        assert row["step_ms"] <= row["step_ms_p95"]
        assert f"{row['rtfx']:.1f}" in done.stdout


@pytest.mark.slow
def test_live_benchmark_drops_no_frame(tmp_path: Path) -> None:
    options = ["--size", "tiny", "--device", "cpu", "--sessions", "1", "3", "--seconds", "2"]
    command = [sys.executable, "-m", "benchmarks.live_kyutai", *options]
    command += ["--results", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    result = json.loads((tmp_path / "live-kyutai-cpu-tiny.json").read_text())
    assert [row["sessions"] for row in result["sessions"]] == [1, 3]
    for row in result["sessions"]:
        assert row["drops"] == 0
        assert 0 < row["delay_ms"] <= row["delay_ms_p95"]


def test_committed_results_have_the_same_shape() -> None:
    for path in (ROOT / "benchmarks/results").glob("kyutai-*.json"):
        result = json.loads(path.read_text())
        assert path.stem.endswith(result["size"])
        assert all(set(row) == ROW for row in result["rows"])
        sixteen = next(row for row in result["rows"] if row["rows"] == 16)
        assert sixteen["rtfx"] > 3 * result["baseline_rtfx"]
