"""Measure the page of a long transcript: python -m benchmarks.transcript_page [--write]

Four hours of speech by four speakers in a running service, opened in Chromium with a CPU that is
slowed down four times: the time to the first text that can be read and clicked, dropped frames
while the page scrolls, and the time until the page shows a typed character, a divided paragraph,
what a search found, and all matches replaced. Prints the goals with the results, and fails if one
is missed. --write writes benchmarks/results/transcript-page.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from benchmarks.transcript_page import editing, reading
from benchmarks.transcript_page.talk import service

RESULT = Path(__file__).parent.parent / "results" / "transcript-page.json"
BROWSERS = ("/usr/bin/chromium-headless-shell", "/usr/bin/chromium")
SLOWDOWN = 4
GOALS = {"opened_ms": 1500, "echo_ms": 50, "dropped_percent": 1, "script_kb": 150}  # at most


def main() -> None:
    """Print the measurements with their goals, and write the JSON if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.transcript_page")
    parser.add_argument("--write", action="store_true", help=f"write {RESULT.name}")
    write = parser.parse_args().write
    with tempfile.TemporaryDirectory(prefix="transcodio-benchmark-") as folder:
        Path(folder).chmod(0o711)
        with service(Path(folder)) as (url, talk):
            measured = measure(url, talk)
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, CPU of the browser slowed down "
        f"{SLOWDOWN} times",
        "load": round(os.getloadavg()[0], 1),
        "words": talk["words"],
        "segments": talk["segments"],
        "goals": GOALS,
        **measured,
    }
    for name, value in result.items():
        if name != "goals":
            print(row(name, value))
    if write:
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    if missed := [name for name, goal in GOALS.items() if measured[name] > goal]:
        sys.exit(f"Missed: {', '.join(missed)}")


def row(name: str, value: object) -> str:
    """A result with its goal, if it has one."""
    goal = f"  goal: at most {GOALS[name]:g}" if name in GOALS else ""
    return f"{name:20}  {value}{goal}"


def measure(url: str, talk: dict[str, Any]) -> dict[str, Any]:
    """All measurements by name; each name ends with its unit."""
    with sync_playwright() as playwright:
        program = next(path for path in BROWSERS if Path(path).exists())
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        context = browser.new_context(base_url=url, viewport={"width": 412, "height": 915})
        context.add_cookies([{"name": "sessionid", "value": talk["session"], "url": url}])
        page = context.new_page()
        path = f"/transcriptions/{talk['id']}/"
        page.goto(path)
        cdp = context.new_cdp_session(page)
        cdp.send("Emulation.setCPUThrottlingRate", {"rate": SLOWDOWN})
        result = {
            **reading.opened(page, path),
            **reading.work(page, path, cdp),
            **reading.response(page, path, "page"),
            **reading.response(page, f"/api{path}words", "words"),
            **reading.scripts(page),
            **reading.scrolled(page),
            **editing.typed(page),
            **editing.divided(page),
            **editing.found(page),
        }
        browser.close()
        return result


if __name__ == "__main__":
    main()
