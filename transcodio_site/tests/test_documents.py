"""The documents agree with the code: variables, commands, operations, versions, links."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from posixpath import dirname, join, normpath

import pytest
from django.core.management import get_commands
from django.test import Client

from benchmarks import sizing
from transcodio_site import __version__
from transcodio_site.api import api
from transcodio_site.cli.export_options import FORMATS
from transcodio_site.cli.main import parser
from transcodio_site.documentation.pages import documentation
from transcodio_site.documentation.reference import document_of
from transcodio_site.supervisor import Stack as Processes
from transcodio_site.testing import ROOT
from transcodio_site.tests import reliability
from transcriptions.exports.documents import EXPORTERS
from transcriptions.webhooks.lifecycle import RETRY_DELAYS_S

DOCS = sorted((ROOT / "docs").glob("*.md"))
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *DOCS]
TEXTS = {str(path.relative_to(ROOT)): path.read_text() for path in DOCUMENTS}
LINK = re.compile(r"\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
CHANGES = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]


def lines_of(kind: str) -> Iterator[tuple[str, str]]:
    """Document and line of all code blocks in the language `kind`."""
    for name, text in TEXTS.items():
        for language, code in BLOCK.findall(text):
            if language == kind:
                for line in code.replace("\\\n", " ").splitlines():
                    yield name, line.strip()


# --- Configuration ------------------------------------------------------------------------------

LIBRARY_VARIABLES = {"IMAGEIO_FFMPEG_EXE"}  # read by a library


def documented() -> dict[str, str]:
    """The default of each documented variable."""
    row = r"^\| `([A-Z_]+)` \| (.*?) \|"
    return dict(re.findall(row, TEXTS["docs/configuration.md"], re.MULTILINE))


def in_code() -> dict[str, set[str]]:
    """The literal defaults of each variable that the settings or gpu/config.py read."""
    variables: dict[str, set[str]] = defaultdict(set)
    settings = (ROOT / "transcodio_site" / "settings").glob("*.py")
    for path in (*settings, ROOT / "gpu" / "config.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and re.match(r"(env|os\.environ)\.", ast.unparse(call)):
                first = call.args[0] if call.args else None
                if not (isinstance(first, ast.Constant) and str(first.value).isupper()):
                    continue
                variables[str(first.value)] |= set(literals(call))
    return variables


def literals(call: ast.Call) -> list[str]:
    defaults = [keyword.value for keyword in call.keywords if keyword.arg == "default"]
    for node in defaults or call.args[1:]:
        try:
            value = eval(compile(ast.Expression(node), "", "eval"), {})  # noqa: S307
            return [",".join(value) if isinstance(value, list) else str(value)]
        except NameError:  # computed: the table explains it in words
            return []
    return []


def test_exactly_the_existing_variables_are_documented() -> None:
    assert set(documented()) == set(in_code()) | LIBRARY_VARIABLES
    assert len(in_code()) > 15


def test_documented_defaults_match_the_code() -> None:
    for name, defaults in in_code().items():
        for default in defaults - {""}:
            assert f"`{default}`" in documented()[name], name


def test_documents_set_only_known_variables() -> None:
    known = set(documented()) | {"TOKEN", "ID", "ETAG", "HOST", "FILE"}
    known |= {"TRANSCODIO_SERVER", "TRANSCODIO_TOKEN"}
    for kind in ("sh", "ini"):
        for name, line in lines_of(kind):
            for variable in re.findall(r"(?:^|\s)([A-Z][A-Z_]+)=", line):
                assert variable in known, f"{name}: {line}"


# --- Commands -----------------------------------------------------------------------------------


def test_management_commands_exist() -> None:
    for name, text in TEXTS.items():
        for command in re.findall(r"manage\.py ([a-z_]+)", text):
            assert command in get_commands(), name


def test_make_targets_exist() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for name, text in TEXTS.items():
        for target in re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE):
            assert target in targets, name


def test_documented_command_lines_are_valid() -> None:
    examples = [line for _, line in lines_of("sh") if line.startswith("transcodio ")]
    assert len(examples) > 5
    for line in examples:
        assert parser().parse_args(shlex.split(line)[1:]).run


def test_worker_command_names_all_queues() -> None:
    worker = next(
        child for child in Processes("127.0.0.1", 8000).children if child.name == "worker"
    )
    queues = worker.command[worker.command.index("--queues") + 1]
    assert f"--queues {queues}\n" in TEXTS["docs/self-hosting.md"]


# --- Facts --------------------------------------------------------------------------------------


def test_every_operation_is_in_the_api_guide() -> None:
    paths = document_of(api)["paths"]
    for path, methods in paths.items():
        for method in methods.keys() - {"head"}:
            assert f"`{method.upper()} {path}`" in TEXTS["docs/api.md"]


def test_every_export_format_is_documented() -> None:
    assert {name: exporter.extension for name, exporter in EXPORTERS.items()} == FORMATS
    for form in EXPORTERS:
        assert f"| `{form}` |" in TEXTS["docs/subtitles.md"]


def test_webhook_attempts_are_documented() -> None:
    words = {8: "eight"}
    assert f"{words[len(RETRY_DELAYS_S) + 1]} attempts" in TEXTS["docs/webhooks.md"]
    assert "5 seconds, 1, 5 and 30\n  minutes, and 2, 5 and 16 hours" in TEXTS["docs/webhooks.md"]
    assert RETRY_DELAYS_S == (5, 60, 300, 1800, 2 * 3600, 5 * 3600, 16 * 3600)


# --- Version and changelog ----------------------------------------------------------------------


def test_version_is_defined_once(db: None, capsys: pytest.CaptureFixture[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert project["tool"]["hatch"]["version"]["path"] == "transcodio_site/__init__.py"
    assert Client().get("/health").json()["version"] == __version__
    assert Client().get("/api/openapi.json").json()["info"]["version"] == __version__
    with pytest.raises(SystemExit):
        parser().parse_args(["--version"])
    assert capsys.readouterr().out == f"transcodio {__version__}\n"


def test_changelog_follows_keep_a_changelog() -> None:
    text = TEXTS["CHANGELOG.md"]
    releases = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert releases[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", name) for name in releases[1:])
    assert __version__ in text
    for release in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        kinds = re.findall(r"^### (.+)$", release, re.MULTILINE)
        assert kinds == [kind for kind in CHANGES if kind in kinds]
        assert kinds


# --- Links --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TEXTS)
def test_links_resolve_to_files_and_headings(name: str) -> None:
    pages = {page.path: page for page in documentation().pages}
    for target in LINK.findall(TEXTS[name]):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        path = normpath(join(dirname(name), path)) if path else name
        assert (ROOT / path).exists(), target
        if anchor:
            assert anchor in {section.anchor for section in pages[path].sections}, target


def test_index_lists_every_document_with_its_title() -> None:
    pages = {page.path: page for page in documentation().pages}
    others = {"README.md", "docs/README.md"}
    assert set(pages) | others == set(TEXTS)
    for path, page in pages.items():
        assert TEXTS[path].startswith(f"# {page.title}\n")


@pytest.mark.parametrize(
    "path", [*DOCUMENTS, ROOT / "benchmarks/results/README.md"], ids=lambda path: path.name
)
def test_no_section_is_there_twice(path: Path) -> None:
    headings = Counter(re.findall(r"^## .*", path.read_text(), re.MULTILINE))
    assert max(headings.values(), default=1) == 1, headings.most_common(1)


def test_images_are_used() -> None:
    used = {Path(target).name for text in TEXTS.values() for target in LINK.findall(text)}
    assert set(documentation().images) <= used


def test_reliability_lists_all_tests_of_faults_and_attacks() -> None:
    current = reliability.DOCUMENT.read_text()
    hint = "run: python -m transcodio_site.tests.reliability"
    assert current == reliability.generated(current), hint


def test_sizing_is_computed_from_the_committed_results() -> None:
    assert sizing.DOCUMENT.read_text() == sizing.document(), "run: python -m benchmarks.sizing"


def test_sizing_takes_measured_segments_and_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = {
        "segments": {"live": [{"published": True, "cpu_ms_per_segment": 7.0}]},
        "kyutai-l4-2.6b": {"rows": [{"rows": 32, "rtfx": 60.0}, {"rows": 64, "rtfx": 90.0}]},
    }
    measured["segments"]["live"][0] |= {"postgres_cores": 0.1, "segments_per_s": 100.0}
    stored = sizing._result
    monkeypatch.setattr(sizing, "_result", lambda name: measured.get(name) or stored(name))
    text = sizing.document()
    assert "60 times as fast as real\n  time (measured)" in text
    assert "not measured" not in text
    assert "PostgreSQL on 8 cores" in text


@pytest.mark.parametrize(("pattern", "most"), [("*.py", 400), ("*.css", 400), ("*.js", 200)])
def test_files_are_short(pattern: str, most: int) -> None:
    folders = (*reliability.APPS, "benchmarks", "static/css", "static/js", "transcodio_site")
    lengths = {
        path.relative_to(ROOT): len(path.read_text().splitlines())
        for folder in folders
        for path in (ROOT / folder).rglob(pattern)
        if "migrations" not in path.parts
    }
    assert len(lengths) > 10
    assert {path: length for path, length in lengths.items() if length > most} == {}
