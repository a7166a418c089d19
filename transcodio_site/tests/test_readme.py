"""What the README says is what the code does."""

from __future__ import annotations

import ast
import json
import re
from collections import defaultdict

from django.test import Client

from transcodio_site.testing import ROOT

README = (ROOT / "README.md").read_text()
OUTSIDE = {"IMAGEIO_FFMPEG_EXE"}  # read by a library


def table() -> dict[str, str]:
    """Variable and default, as documented."""
    return dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", README, re.MULTILINE))


def in_code() -> dict[str, set[str]]:
    """Variable and its literal defaults, as read by the settings and by gpu/config.py."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in (ROOT / "transcodio_site" / "settings.py", ROOT / "gpu" / "config.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and re.match(r"(env|os\.environ)\.", ast.unparse(call)):
                first = call.args[0] if call.args else None
                if not (isinstance(first, ast.Constant) and str(first.value).isupper()):
                    continue
                found[str(first.value)] |= set(literals(call))
    return found


def literals(call: ast.Call) -> list[str]:
    defaults = [keyword.value for keyword in call.keywords if keyword.arg == "default"]
    for node in defaults or call.args[1:]:
        try:
            return [str(eval(compile(ast.Expression(node), "", "eval"), {}))]  # noqa: S307
        except NameError:  # computed: the table explains it in words
            return []
    return []


def test_every_variable_is_documented_and_no_other() -> None:
    assert set(table()) == set(in_code()) | OUTSIDE
    assert len(in_code()) > 15


def test_documented_defaults_are_the_real_ones() -> None:
    for name, defaults in in_code().items():
        for default in defaults - {""}:
            assert f"`{default}`" in table()[name], name


def test_every_operation_of_the_api_is_listed(db: None) -> None:
    paths = json.loads(Client().get("/api/openapi.json").content)["paths"]
    for path in paths:
        assert path.replace("?format=", "") in README


def test_links_and_files_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_vendored_files_are_what_their_list_says() -> None:
    import hashlib

    folder = ROOT / "static" / "vendor"
    lines = (folder / "VERSIONS").read_text().splitlines()
    listed = {line.split()[0]: line.split()[3] for line in lines}
    assert set(listed) | {"VERSIONS"} == {path.name for path in folder.iterdir()}
    for name, digest in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_the_repository_names_no_package_index() -> None:
    files = sorted((ROOT / "requirements").glob("*.txt"))
    assert files
    for line in "".join(path.read_text() for path in files).splitlines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[^ /]+", line), line
