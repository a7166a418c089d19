"""The README, and files that must match their lists."""

from __future__ import annotations

import hashlib
import re

from transcodio_site.testing import ROOT

README = (ROOT / "README.md").read_text()


def test_readme_is_short() -> None:
    assert len(README.splitlines()) < 150


def test_first_command_in_readme_is_make_run() -> None:
    first = re.search(r"```sh\n(\S+ \S+)", README)
    assert first
    assert first[1] == "make run"


def test_readme_names_make_test() -> None:
    assert "`make test`" in README


def test_vendored_files_match_their_checksums() -> None:
    folder = ROOT / "static" / "vendor"
    lines = (folder / "VERSIONS").read_text().splitlines()
    listed = {line.split()[0]: line.split()[3] for line in lines}
    assert set(listed) | {"VERSIONS"} == {path.name for path in folder.iterdir()}
    for name, digest in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_requirements_name_no_package_index() -> None:
    files = sorted((ROOT / "requirements").glob("*.txt"))
    assert files
    for line in "".join(path.read_text() for path in files).splitlines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[^ /]+", line), line
