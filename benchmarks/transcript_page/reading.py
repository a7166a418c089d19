"""Opening the page, and scrolling."""

from __future__ import annotations

import gzip
import statistics
import time
from itertools import pairwise
from typing import Any

from playwright.sync_api import CDPSession, Page

REPETITIONS, SCROLL_S = 5, 3.0

# When text could be read, and when all scripts had run.
OPENED = """() => {
  const [paint] = performance.getEntriesByName("first-contentful-paint");
  const [page] = performance.getEntriesByType("navigation");
  return { paint: paint?.startTime ?? 0, scripts: page.domContentLoadedEventEnd };
}"""
SCROLL = """(seconds) => new Promise((resolve) => {
  const frames = [];
  const start = performance.now();
  const step = (now) => {
    frames.push(now);
    window.scrollBy(0, 60);
    if (now - start < 1000 * seconds) requestAnimationFrame(step);
    else resolve(frames);
  };
  requestAnimationFrame(step);
})"""


def opened(page: Page, path: str) -> dict[str, Any]:
    """From the click on a link to the first text, and to the end of all scripts."""
    runs = []
    for _ in range(REPETITIONS):
        page.goto(path, wait_until="commit")
        page.wait_for_load_state("networkidle")
        runs.append(page.evaluate(OPENED))
    return {
        "first_paint_ms": round(statistics.median(run["paint"] for run in runs)),
        "opened_ms": round(statistics.median(run["scripts"] for run in runs)),
    }


def work(page: Page, path: str, cdp: CDPSession) -> dict[str, Any]:
    """The work of the main thread to open the page, in CPU time that is not slowed down: it hardly
    depends on other load on the machine."""
    cdp.send("Performance.enable", {"timeDomain": "threadTicks"})

    def metrics() -> dict[str, float]:
        found = cdp.send("Performance.getMetrics")["metrics"]
        return {metric["name"]: metric["value"] for metric in found}

    page.goto("about:blank")
    before = metrics()
    page.goto(path, wait_until="networkidle")
    after = metrics()
    names = {"TaskDuration": "main_thread", "LayoutDuration": "layout"}
    return {f"{name}_cpu_ms": round(1000 * (after[m] - before[m])) for m, name in names.items()}


def response(page: Page, path: str, name: str) -> dict[str, Any]:
    """The server's time for the page, on a CPU that is not slowed down."""
    times = []
    for _ in range(REPETITIONS):
        started_at = time.perf_counter()
        body = page.request.get(path).body()
        times.append(time.perf_counter() - started_at)
    return {
        f"{name}_server_ms": round(1000 * statistics.median(times)),
        f"{name}_kb": round(len(body) / 1000),
        f"{name}_gzip_kb": round(len(gzip.compress(body)) / 1000),
    }


def scripts(page: Page) -> dict[str, Any]:
    """All scripts that the page loads, compressed one by one."""
    urls = page.evaluate(
        "performance.getEntriesByType('resource').map(({ name }) => name)"
        ".filter((name) => name.endsWith('.js'))"
    )
    sizes = [len(gzip.compress(page.request.get(url).body())) for url in set(urls)]
    return {"scripts": len(sizes), "script_kb": round(sum(sizes) / 1000, 1)}


def scrolled(page: Page) -> dict[str, Any]:
    """Frames while the page scrolls. A frame was dropped where the next one came more than one and
    a half frames later: the mean of the intervals does not tell that from a display that is slower
    than 60 Hz."""
    frames = page.evaluate(SCROLL, SCROLL_S)
    gaps = sorted(after - before for before, after in pairwise(frames))
    frame = statistics.median(gaps)
    dropped = sum(round(gap / frame) - 1 for gap in gaps if gap > 1.5 * frame)
    return {
        "frames": len(frames),
        "frame_ms": round(frame, 1),
        "frame_p95_ms": round(gaps[int(0.95 * len(gaps))], 1),
        "frame_max_ms": round(gaps[-1], 1),
        "dropped_frames": dropped,
        "dropped_percent": round(100 * dropped / (len(gaps) + dropped), 1),
    }
