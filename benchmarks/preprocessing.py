"""Measure the preparation of recordings: python -m benchmarks.preprocessing

Decode ten minutes of speech (MP3), find the spans of speech and the waveform, and measure the CPU
time, on which other programs have little effect. The result is written to
benchmarks/results/preprocessing.json.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "transcodio_site" / "sample" / "recording.ogg"
AUDIO_MINUTES = 10
REPETITIONS = 3


def main() -> None:
    """Print the median and write the JSON."""
    with tempfile.TemporaryDirectory(prefix="transcodio-benchmark-") as folder:
        os.environ |= {"VAR_DIR": folder, "DJANGO_SETTINGS_MODULE": "transcodio_site.settings"}
        import django

        django.setup()
        source = _recording(Path(folder))
        _cpu_seconds(source, Path(folder))  # loads the model of the speech detector
        seconds = statistics.median(_cpu_seconds(source, Path(folder)) for _ in range(REPETITIONS))
        result = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "audio_minutes": AUDIO_MINUTES,
            "cpu_s_per_audio_minute": round(seconds / AUDIO_MINUTES, 3),
            "source_mb_per_audio_minute": round(source.stat().st_size / 1e6 / AUDIO_MINUTES, 2),
        }
    print(result)
    path = ROOT / "benchmarks" / "results" / "preprocessing.json"
    path.write_text(json.dumps(result, indent=2) + "\n")


def _recording(folder: Path) -> Path:
    """The sample, repeated, as MP3 with 128 kbit/s."""
    from transcriptions.processing.media.program import ffmpeg_binary

    path = folder / "recording.mp3"
    command = [ffmpeg_binary(), "-v", "error", "-stream_loop", "-1", "-i", str(SAMPLE)]
    output = ["-t", str(60 * AUDIO_MINUTES), "-b:a", "128k", str(path)]
    subprocess.run([*command, *output], check=True)
    return path


def _cpu_seconds(source: Path, folder: Path) -> float:
    """CPU seconds of this process and of FFmpeg."""
    from transcriptions.processing import loudness, voice_activity
    from transcriptions.processing.media.conversion import prepare

    began = _cpu_clock()
    audio = prepare(source, folder, lambda: None)
    voice_activity.find_speech(audio.path, audio.duration, lambda: None)
    loudness.measure_loudness(audio.path, audio.duration)
    return _cpu_clock() - began


def _cpu_clock() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


if __name__ == "__main__":
    main()
