"""The tables of docs/reliability.md: python -m transcodio_site.tests.reliability

Faults and attacks come from the tests that are marked with `covers`, and from `make chaos`; the
figures of the long run come from benchmarks/results/chaos.json.
"""

from __future__ import annotations

import ast
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.chaos.faults import FAULTS, FULL_DISK

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "reliability.md"
RESULTS = ROOT / "benchmarks" / "results" / "chaos.json"
KINDS = ("fault", "attack")
APPS = ("accounts", "e2e", "gpu", "transcodio_site", "transcriptions")


def main() -> None:
    """Rewrite the generated sections."""
    DOCUMENT.write_text(generated(DOCUMENT.read_text()))


def generated(document: str) -> str:
    """The document with current tables below its headings."""
    covered = tests_by_coverage()
    for heading, body in (
        ("Faults and their tests", table(covered["fault"])),
        ("Attacks and their tests", table(covered["attack"])),
        ("A long run", long_run(json.loads(RESULTS.read_text()))),
    ):
        section = re.compile(rf"(^## {heading}\n).*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
        document = section.sub(partial(fill, body), document)
    return document.rstrip() + "\n"


def fill(body: str, heading: re.Match[str]) -> str:
    """A section with this body."""
    return f"{heading[1]}\n{body}\n"


def tests_by_coverage() -> dict[str, dict[str, list[str]]]:
    """By kind ("fault" or "attack") and by what is covered: the tests."""
    covered: dict[str, dict[str, list[str]]] = {kind: defaultdict(list) for kind in KINDS}
    for app in APPS:
        for path in sorted((ROOT / app).rglob("test_*.py")):
            for name, kind, what in marked_tests(path):
                covered[kind][what].append(f"{path.relative_to(ROOT)}::{name}")
    for fault in (*FAULTS, FULL_DISK):
        covered["fault"][fault.what].append(f"make chaos FAULT={fault.name}")
    return covered


def marked_tests(path: Path) -> Iterator[tuple[str, str, str]]:
    """Name, kind and fault or attack of each marked test in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == (
                    "pytest.mark.covers"
                ):
                    kind, what = (ast.literal_eval(argument) for argument in decorator.args)
                    yield node.name, kind, what


def table(covered: dict[str, list[str]]) -> str:
    """A row for each fault or attack."""
    rows = [
        f"| {what if test is tests[0] else ''} | `{test}` |"
        for what, tests in sorted(covered.items(), key=lambda item: item[1])
        for test in tests
    ]
    return "\n".join(["| What happens | Test |", "| --- | --- |", *rows]) + "\n"


def long_run(result: dict[str, Any]) -> str:
    """The figures of benchmarks/results/chaos.json."""
    names = {fault.name: fault.what for fault in (*FAULTS, FULL_DISK)}
    waits = result["waits"]
    stalls = {name: each["longest_s"] - each["fault_lasts_s"] for name, each in waits.items()}
    longest = max(stalls, key=lambda name: stalls[name])
    rows = [
        f"| {names[name]} | {each['rounds']} | {each['median_s']} s | {each['longest_s']} s | "
        f"{max(0.0, stalls[name]):.1f} s |"
        for name, each in waits.items()
    ]
    summary = (
        f"{result['minutes']:.0f} minutes, seed {result['seed']}, on {result['machine']}: "
        f"{result['jobs']} recordings, {result['faults']} faults. Rounds with a lost or doubled "
        f"segment, a wrong charge or a file left behind: {len(result['problems'])}. The longest "
        f"stall is the longest wait without the time for which the fault itself lasts: "
        f"{stalls[longest]:.1f} s ({names[longest].lower()}).\n"
    )
    header = [
        "| Fault | Rounds | Wait (median) | Wait (longest) | Stall (longest) |",
        "| --- | --- | --- | --- | --- |",
    ]
    return "\n".join([summary, *header, *rows]) + "\n"


if __name__ == "__main__":
    main()
