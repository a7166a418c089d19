"""`manage.py doctor`: everything that is wrong with this installation, and how to fix it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from transcodio_site.doctor.examination import examine
from transcodio_site.doctor.findings import Finding


class Command(BaseCommand):
    help = (
        "Checks the installation: packages, settings, servers, processes, files and accounts. "
        "Prints how to fix what is wrong, and exits with status 1 if anything is."
    )
    requires_system_checks = []  # they are a part of it

    def add_arguments(self, parser: CommandParser) -> None:
        """The arguments of the command."""
        parser.add_argument("--json", action="store_true", help="print JSON, for monitoring")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exits with 1 if there is a problem."""
        findings = []
        for finding in examine():
            findings.append(finding)
            if not options["json"]:
                self._print(finding)
        problems = [finding for finding in findings if finding.is_problem]
        if options["json"]:
            report = {"healthy": not problems, "findings": [asdict(f) for f in findings]}
            self.stdout.write(json.dumps(report, indent=2))
        else:
            self.stdout.write(
                f"\nProblems: {len(problems)}." if problems else "\nEverything works."
            )
        if problems:
            sys.exit(1)

    def _print(self, finding: Finding) -> None:
        mark = self.style.ERROR("wrong") if finding.is_problem else self.style.SUCCESS("ok   ")
        self.stdout.write(f"{mark}  {finding.check}: {finding.found}")
        if finding.is_problem:
            self.stdout.write(f"         Why it matters: {finding.consequence}")
        if finding.remedy:
            self.stdout.write(f"         What to do: {finding.remedy}")
        self.stdout.flush()
