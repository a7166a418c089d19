"""`manage.py inventory`: what the installation consists of, with versions and licenses."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from transcodio_site.inventory import licenses_page, sbom


class Command(BaseCommand):
    help = "Prints an SBOM (CycloneDX, JSON), or with --licenses the page docs/licenses.md."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the format."""
        parser.add_argument("--licenses", action="store_true", help="the page of licenses")

    def handle(self, *args: Any, licenses: bool = False, **options: Any) -> str:
        """Print it."""
        return licenses_page().rstrip() if licenses else json.dumps(sbom(), indent=2)
