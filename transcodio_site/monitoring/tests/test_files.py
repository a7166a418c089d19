"""The alert rules and the dashboard agree with the metrics of the code and with the runbook."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

from transcodio_site.documentation.pages import documentation
from transcodio_site.monitoring import metrics
from transcodio_site.testing import ROOT, WAIT_S
from transcriptions.operations import metrics as database

FOLDER = ROOT / "deploy" / "monitoring"
RULES = [
    rule
    for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((FOLDER / "grafana-dashboard.json").read_text())
TARGETS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
OTHER_METRICS = {"up", "probe_ssl_earliest_cert_expiry"}  # of Prometheus and the blackbox exporter
METRIC = re.compile(r"\b(?:transcodio|process|probe)_\w+")
SUFFIXES = ("", "_total", "_bucket", "_count", "_sum")


def existing(db: Any) -> set[str]:
    """The names of all time series of the code."""
    families = [
        *REGISTRY.collect(),
        *database.current(),
        *database.totals(),
        *metrics._parts(),
        *metrics._processes(),
        *metrics._disk(),
    ]
    return {family.name + suffix for family in families for suffix in SUFFIXES}


def used_in(expression: str) -> set[str]:
    return set(METRIC.findall(re.sub(r'"[^"]*"', '""', expression)))


def test_dashboard_and_alerts_use_existing_metrics(db: None) -> None:
    names = existing(db) | OTHER_METRICS
    for expression in (*TARGETS, *(rule["expr"] for rule in RULES)):
        used = used_in(expression)
        assert used or expression.startswith("absent(up"), expression
        assert used <= names, expression


def test_dashboard_shows_every_metric_of_ours(db: None) -> None:
    ours = {
        family.name
        for family in (*REGISTRY.collect(), *database.current(), *database.totals())
        if family.name.startswith("transcodio_")
    }
    shown = {name for expression in TARGETS for name in used_in(expression)}
    for name in ours:
        assert any(name + suffix in shown for suffix in SUFFIXES), name


def test_every_alert_has_a_section_in_the_runbook() -> None:
    runbook = documentation().find("runbook")
    assert runbook
    anchors = {section.anchor: section.heading for section in runbook.sections}
    for rule in RULES:
        url = rule["annotations"]["runbook_url"]
        base, _, anchor = url.partition("#")
        assert base.endswith(f"/docs{runbook.url.removeprefix('/docs')}")
        assert anchors[anchor] == rule["alert"]
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]
    text = (ROOT / "docs" / "runbook.md").read_text()
    headings = set(re.findall(r"^## (\w+)$", text, re.MULTILINE))
    assert headings == {rule["alert"] for rule in RULES}


def test_panels_do_not_overlap_and_have_a_data_source() -> None:
    cells = set[tuple[int, int]]()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        covered = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not covered & cells, panel["title"]
        cells |= covered
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}"
    assert max(x for x, _ in cells) < 24


# --- Parsed by Prometheus itself ----------------------------------------------------------------

promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed: apt install prometheus"
)


def check(*arguments: str, stdin: str | None = None) -> None:
    done = subprocess.run(
        ["promtool", "check", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@promtool
def test_prometheus_reads_rules_configuration_and_panels(tmp_path: Path) -> None:
    for file in FOLDER.iterdir():
        shutil.copy(file, tmp_path)
    (tmp_path / "metrics-token").write_text("token\n")
    check("rules", str(tmp_path / "alerts.yml"))
    check("config", str(tmp_path / "prometheus.yml"))
    panels = [{"record": f"panel:{number}", "expr": e} for number, e in enumerate(TARGETS)]
    groups = {"groups": [{"name": "panels", "rules": panels}]}
    (tmp_path / "panels.yml").write_text(yaml.safe_dump(groups))
    check("rules", str(tmp_path / "panels.yml"))


@promtool
def test_prometheus_accepts_names_and_types(db: None) -> None:
    check("metrics", stdin=metrics.of_process().decode() + metrics.of_installation().decode())


@promtool
def test_alerts_fire(tmp_path: Path) -> None:
    """A dead queue, a part that fails, and a disk that fills up; nothing else."""
    shutil.copy(FOLDER / "alerts.yml", tmp_path)
    shutil.copy(FOLDER / "alerts_test.yml", tmp_path)
    done = subprocess.run(
        ["promtool", "test", "rules", "alerts_test.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
