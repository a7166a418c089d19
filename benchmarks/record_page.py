"""Measure the memory of the page that records: python -m benchmarks.record_page [--write]

Chromium records the sample recording from its microphone, over and over, for half an hour or
--minutes, in a whole running service. Twice a minute: the JavaScript heap after a garbage
collection, the DOM nodes, the resident memory of the page's process, and the pieces of audio in
IndexedDB. What matters is the growth after the first quarter.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from benchmarks.live_memory import LongStack
from e2e.conftest import register
from e2e.recorder import browser_with_microphone
from transcodio_site.testing_media import Media

RESULTS = Path(__file__).parent / "results" / "record-page.json"
SAMPLE_INTERVAL_S = 30.0
GOALS = {"heap_growth_mb_per_hour": 20, "pieces_waiting": 60}
PIECES = """async () => {
  const { all } = await import("/static/js/offline-store.js");
  return (await all("pieces")).length;
}"""


def main() -> None:
    """Print the results with their goals; with --write, write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.record_page")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    parser.add_argument("--minutes", type=float, default=30.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="transcodio-benchmark-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        stack = LongStack(folder)
        try:
            stack.start()
            with (
                sync_playwright() as playwright,
                browser_with_microphone(playwright, Media(folder)) as browser,
            ):
                series = _record(browser, stack, arguments.minutes)
        finally:
            stack.stop()
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load_after": round(os.getloadavg()[2], 1),
        "minutes": arguments.minutes,
        "goals": GOALS,
        **{name: _growth(values) for name, values in series.items()},
    }
    print(json.dumps(result, indent=2))
    if arguments.write:
        RESULTS.write_text(json.dumps(result, indent=2) + "\n")


def _record(browser: Browser, stack: LongStack, minutes: float) -> dict[str, list[float]]:
    context = browser.new_context(base_url=stack.url, permissions=["microphone"])
    page = context.new_page()
    register(page, stack, "memory@example.com")
    page.goto("/record/")
    page.wait_for_selector("live-recorder:defined")
    page.get_by_label("Language").select_option("en")
    page.get_by_role("button", name="Start recording").click()
    page.wait_for_selector("live-recorder[data-state=recording]")
    cdp = context.new_cdp_session(page)
    cdp.send("Performance.enable")
    series: dict[str, list[float]] = {}
    for _ in range(round(60 * minutes / SAMPLE_INTERVAL_S)):
        page.wait_for_timeout(1000 * SAMPLE_INTERVAL_S)
        for name, value in _sizes(page, cdp).items():
            series.setdefault(name, []).append(round(value, 2))
    return series


def _sizes(page: Page, cdp: CDPSession) -> dict[str, float]:
    cdp.send("HeapProfiler.collectGarbage")
    metrics = {m["name"]: m["value"] for m in cdp.send("Performance.getMetrics")["metrics"]}
    processes = [each for each in psutil.process_iter(["cmdline"]) if _is_page(each)]
    return {
        "heap_mb": metrics["JSHeapUsedSize"] / 2**20,
        "nodes": metrics["Nodes"],
        "process_mb": sum(each.memory_info().rss for each in processes) / 2**20,
        "pieces_waiting": float(page.evaluate(PIECES)),
        "segments": float(page.locator("#segments .segment").count()),
    }


def _is_page(process: psutil.Process) -> bool:
    """Whether it draws a page of a browser that this process has started."""
    line = process.info["cmdline"] or []
    is_renderer = "--type=renderer" in line and "--extension-process" not in line
    return is_renderer and any(parent.pid == os.getpid() for parent in process.parents())


def _growth(values: list[float]) -> dict[str, Any]:
    quarters = [float(statistics.median(q)) for q in np.array_split(values, 4) if len(q)]
    hours = len(values) / 2 * SAMPLE_INTERVAL_S / 3600  # between the middles of the two quarters
    growth = (quarters[-1] - quarters[1]) / hours if len(quarters) == 4 else 0.0
    return {"quarters": quarters, "growth_per_hour": round(growth, 1), "series": values}


if __name__ == "__main__":
    main()
