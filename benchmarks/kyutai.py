"""Measures the Kyutai engine: python -m benchmarks.kyutai --size small

It measures the time of a step for 1, 8, 16, ... rows, `generate()` of transformers for comparison,
one stream at a time, and an hour of audio through the whole engine. With random weights (--size)
the words are meaningless, but time and memory depend only on the shapes. Results are written to
benchmarks/results/kyutai-<device>-<size>.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import statistics
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import KyutaiSpeechToTextConfig, KyutaiSpeechToTextForConditionalGeneration

from gpu import pricing
from gpu.kyutai.batching import Batcher
from gpu.kyutai.checkpoint import Checkpoint
from gpu.kyutai.ring_decoder import RingDecoder, rows_that_fit
from gpu.tests import tiny
from gpu.windows import Window

RESULTS = Path(__file__).parent / "results"
ROWS = (1, 8, 16, 32, 64, 128, 192, 256, 320, 384, 400, 416, 432, 448, 512)
CPU_ROWS = ROWS[:5]
WINDOW_S = 60.0
BANDWIDTH_BYTES_PER_S = {  # according to the data sheets
    "T4": 320e9,
    "L4": 300e9,
    "A10": 600e9,
    "A10G": 600e9,
    "L40S": 864e9,
    "A100": 1.555e12,
    "A100-80GB": 2.039e12,
    "H100": 3.35e12,
    "H200": 4.8e12,
    "B200": 8e12,
}
SMALL = {
    "window": 375,
    "hidden_size": 512,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "ffn_dim": 2816,
    "num_codebooks": 32,
    "codebook_size": 2048,
}


def main() -> None:
    """Prints a table and writes the JSON."""
    options = _options()
    checkpoint = checkpoint_of(options.size, options.checkpoint, options.device)
    bandwidth, price = _bandwidth(options.device), _price(options.device)
    print(f"{device_name(options.device)}; {checkpoint.name}")
    baseline = _generate_rtfx(checkpoint, options.baseline_seconds)
    print(f"generate(), one stream at a time: {baseline:.2f} x real time")
    print(" rows  step ms   p95  x real time  streams  peak GB  USD/min  of bandwidth")
    rows = []
    counts = options.rows or (ROWS if options.device.startswith("cuda") else CPU_ROWS)
    for row in _table(checkpoint, counts, bandwidth, price):
        rows.append(row)
        print(_line(row))
    best = max(rows, key=lambda row: row["rtfx"])["rows"]
    elapsed = _long_recording_seconds(checkpoint, best, options.long_seconds)
    print(f"{options.long_seconds:.0f} s of audio, codec included, {best} rows: {elapsed:.1f} s")
    write(
        "kyutai",
        options,
        checkpoint,
        baseline_rtfx=round(baseline, 3),
        rows=rows,
        hour_s=round(elapsed * 3600 / options.long_seconds, 1),
        hour_measured_s=options.long_seconds,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    model = parser.add_mutually_exclusive_group()
    model.add_argument("--size", choices=("tiny", "small", "2.6b"), default="small")
    model.add_argument("--checkpoint", help="a Hub id or folder with real weights")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rows", type=int, nargs="+")
    parser.add_argument("--baseline-seconds", type=float, default=WINDOW_S)
    parser.add_argument(
        "--long-seconds", type=float, default=3600.0, help="less is scaled up to an hour"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder for the JSON")
    options = parser.parse_args()
    if options.checkpoint:
        options.size = Path(options.checkpoint).name
    return options


# --- Models ---------------------------------------------------------------------------------------


def checkpoint_of(size: str, source: str | None, device: str) -> Checkpoint:
    """The checkpoint of a Hub id or folder (`source`), or one with random weights of this size."""
    if source:
        return Checkpoint.load(source, device)
    if size == "tiny":
        checkpoint = tiny.checkpoint(window=24)
    elif size == "small":
        checkpoint = tiny.checkpoint(**SMALL)
    else:
        checkpoint = Checkpoint(_real_shapes(device), tiny.processor(), "2.6b")
    checkpoint.model.to(device)
    checkpoint.name = f"{size} (random weights)"
    return checkpoint


def _real_shapes(device: str) -> Any:
    """The published architecture, created on the device; only the decoder in half precision."""
    config = KyutaiSpeechToTextConfig(
        rope_parameters={"rope_type": "default", "rope_theta": 100_000.0},
        codec_config={"model_type": "mimi", "num_quantizers": 32, "use_cache": False},
    )
    dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
    with torch.device(device):
        model = KyutaiSpeechToTextForConditionalGeneration._from_config(config, dtype=dtype)
    model.codec_model.float()
    for name, buffer in model.codec_model.named_buffers():
        if name.endswith("embed_sum"):
            buffer.normal_()
    return model.eval()


def _weight_bytes(checkpoint: Checkpoint) -> int:
    """The bytes that a step reads: all of the decoder, but only single rows of the embeddings."""
    model = checkpoint.model
    read = [*model.model.layers.parameters(), *model.lm_head.parameters()]
    return sum(weight.numel() * weight.element_size() for weight in read)


# --- Steps ----------------------------------------------------------------------------------------


def _table(
    checkpoint: Checkpoint, rows: tuple[int, ...], bandwidth: float | None, price: float | None
) -> Iterator[dict[str, Any]]:
    frames = checkpoint.frames(WINDOW_S) + 1
    on_gpu = checkpoint.device.type == "cuda"
    for count in rows:
        if on_gpu and count > rows_that_fit(checkpoint, frames):
            return
        _reset_peak(checkpoint)
        decoder = RingDecoder(checkpoint, count, frames)
        times = _step_times(decoder, checkpoint, 200 if on_gpu else 30)
        peak = _peak(checkpoint)
        median, p95 = statistics.median(times), statistics.quantiles(times, n=20)[-1]
        ring = decoder.keys.numel() * decoder.keys.element_size() * 2
        # The silence around a window is decoded too, but does not count as audio.
        rtfx = count * WINDOW_S / (checkpoint.frames(WINDOW_S) * median)
        read = _weight_bytes(checkpoint) + ring
        yield {
            "rows": count,
            "step_ms": round(median * 1e3, 3),
            "step_ms_p95": round(p95 * 1e3, 3),
            "rtfx": round(rtfx, 2),
            "streams": count if p95 <= checkpoint.timing.frame else 0,
            "peak_bytes": peak,
            "usd_per_audio_minute": price and round(pricing.usd_per_audio_minute(price, rtfx), 7),
            "bandwidth_share": bandwidth and round(read / median / bandwidth, 3),
        }
        del decoder
        if on_gpu:
            torch.cuda.empty_cache()  # otherwise too little would be free for the next count


def _step_times(decoder: RingDecoder, checkpoint: Checkpoint, steps: int) -> list[float]:
    """Seconds of each step with all rows busy, including the copy of its tokens."""
    shape = (decoder.codes.shape[1], decoder.config.num_codebooks)
    for row in range(decoder.rows):
        decoder.join(row, torch.randint(0, decoder.config.codebook_vocab_size - 1, shape))
    times = []
    for number in range(steps + 5):
        started = time.perf_counter()
        decoder.step().tolist()
        if number >= 5:  # the first ones are a warm-up
            times.append(time.perf_counter() - started)
    return times


def _reset_peak(checkpoint: Checkpoint) -> None:
    if checkpoint.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        with suppress(OSError):  # only Linux can reset the peak
            Path("/proc/self/clear_refs").write_text("5")


def _peak(checkpoint: Checkpoint) -> int:
    """Peak memory in bytes: allocated by torch on a GPU, of the whole process on the CPU."""
    if checkpoint.device.type == "cuda":
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# --- Whole recordings -----------------------------------------------------------------------------


def _noise(seconds: float, rate: int) -> np.ndarray[Any, Any]:
    samples = np.random.default_rng(0).standard_normal(int(seconds * rate)) * 0.1
    return samples.astype(np.float32)


def _generate_rtfx(checkpoint: Checkpoint, seconds: float) -> float:
    """The usual method: one recording after another, each in a single call."""
    extractor = tiny.processor()
    audio = _noise(seconds, checkpoint.rate)
    inputs = extractor(audio=audio, sampling_rate=checkpoint.rate).to(checkpoint.device)
    times = []
    for _ in range(3):
        started = time.perf_counter()
        with torch.inference_mode():
            checkpoint.model.generate(**inputs, audio_window_size=None, disable_compile=True)
        times.append(time.perf_counter() - started)
    return seconds / statistics.median(times)


def _long_recording_seconds(checkpoint: Checkpoint, rows: int, seconds: float) -> float:
    """Seconds that one recording takes through codec, batching and words."""
    batcher = Batcher(checkpoint, WINDOW_S, rows)
    audio = _noise(WINDOW_S, checkpoint.rate)
    windows = [Window(start, lambda: audio) for start in np.arange(0, seconds, WINDOW_S)]
    started = time.perf_counter()
    for _ in batcher.submit(windows).words():
        pass
    elapsed = time.perf_counter() - started
    batcher.close()
    return elapsed


# --- The machine and the result -------------------------------------------------------------------


def _gpu_type(device: str) -> str:
    """The type of the GPU, such as L4 or H100; empty on the CPU."""
    if not device.startswith("cuda"):
        return ""
    name = torch.cuda.get_device_name(device)
    found = re.search(r"\b[A-Z]\d+[SG]?\b", name)
    large = "-80GB" if "A100" in name and "80GB" in name else ""  # has a different price
    return found.group() + large if found else "unknown"


def device_name(device: str) -> str:
    """The name of the device, such as NVIDIA H100 80GB HBM3."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU, {os.cpu_count()} cores"


def _bandwidth(device: str) -> float | None:
    """Bytes per second: from the data sheet on a GPU, measured with a large array on the CPU.

    None for a GPU that is not in the list.
    """
    gpu = _gpu_type(device)
    if gpu:
        return BANDWIDTH_BYTES_PER_S.get(gpu)
    big = torch.ones(1 << 28)  # 1 GiB
    times = []
    for _ in range(5):
        started = time.perf_counter()
        big.sum()
        times.append(time.perf_counter() - started)
    return big.numel() * 4 / min(times)


def _price(device: str) -> float | None:
    gpu = _gpu_type(device)
    return pricing.usd_per_second(gpu) if gpu else pricing.usd_per_second("", os.cpu_count() or 1)


def _line(row: dict[str, Any]) -> str:
    price, share = row["usd_per_audio_minute"], row["bandwidth_share"]
    return (
        f"{row['rows']:5} {row['step_ms']:8.2f} {row['step_ms_p95']:6.1f} {row['rtfx']:11.1f} "
        f"{row['streams']:8} {row['peak_bytes'] / 1e9:8.2f} "
        f"{f'{price:.6f}' if price else '-':>9} {f'{share:.0%}' if share else '-':>9}"
    )


def write(name: str, options: argparse.Namespace, checkpoint: Checkpoint, **result: Any) -> None:
    """Write `results/<name>-<device>-<size>.json`."""
    stated = {
        "device": device_name(options.device),
        "size": options.size,
        "weights": checkpoint.name,
        **result,
        "torch": torch.__version__.split("+")[0],
        "python": platform.python_version(),
    }
    options.results.mkdir(exist_ok=True)
    device = (_gpu_type(options.device) or "cpu").lower()
    path = options.results / f"{name}-{device}-{options.size}.json"
    path.write_text(json.dumps(stated, indent=2) + "\n")
    print(path)


if __name__ == "__main__":
    main()
