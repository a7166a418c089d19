"""The SBOM and the page of licenses."""

from __future__ import annotations

import json
import re
from importlib.metadata import distribution
from io import StringIO

from django.core.management import call_command

from transcodio_site.inventory import (
    BUNDLED,
    components,
    licenses_page,
    locked_versions,
    sbom,
)
from transcodio_site.testing import ROOT


def test_page_of_licenses_matches_the_installed_packages() -> None:
    page = (ROOT / "docs" / "licenses.md").read_text()
    assert page == licenses_page(), "run `make licenses`"


def test_every_component_has_a_known_license() -> None:
    assert [part.name for part in components() if part.license in ("", "unknown")] == []


def test_sbom_has_every_locked_package_and_vendored_script() -> None:
    printed = StringIO()
    call_command("inventory", stdout=printed)
    document = json.loads(printed.getvalue())
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    purls = {part["purl"] for part in document["components"] if "purl" in part}
    assert {f"pkg:pypi/{name}@{version}" for name, version in locked_versions().items()} <= purls
    assert "pkg:pypi/resemblyzer" in {purl.split("@")[0] for purl in purls}
    assert {purl.split("@")[0] for purl in purls if "npm" in purl} == {
        "pkg:npm/htmx.org",
        "pkg:npm/wavesurfer.js",
    }


def test_sbom_is_valid_cyclonedx() -> None:
    parts = sbom()["components"]
    references = [part["bom-ref"] for part in parts]
    assert len(references) == len({*references})
    for part in parts:
        assert {"type", "name", "licenses"} <= part.keys()
        assert part["type"] in ("application", "library", "machine-learning-model")


def test_sbom_has_the_versions_of_embedded_programs() -> None:
    versions = {part["name"]: part.get("version", "") for part in sbom()["components"]}
    for program in ("PostgreSQL", "Valkey", "FFmpeg"):
        assert re.match(r"\d+\.\d+", versions[program]), program


def test_wheels_with_libraries_of_other_projects_are_listed() -> None:
    packages = {*locked_versions()}
    listed = {wheel for _, _, wheel, *_ in BUNDLED}
    assert listed <= packages
    with_libraries = {
        name
        for name in packages
        if any(file.parts[0].endswith(".libs") for file in distribution(name).files or ())
    }
    assert with_libraries <= listed
