"""All checks, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import replace

from django.conf import settings

from transcodio_site.doctor import configuration, machine, operation, services
from transcodio_site.doctor.findings import Check, Finding
from transcodio_site.embedded import EmbeddedError, servers

INSTALLATION: dict[str, Check] = {
    "Python": machine.python,
    "Packages": machine.packages,
    "Data folder": machine.data_folder,
    "Files with secrets": machine.secret_files,
    "Free space": machine.free_space,
    "Static files": machine.static_files,
    "FFmpeg": machine.ffmpeg,
    "Model": machine.model,
    "Engine": operation.engine,
    "Variables": configuration.variables,
    "Secret key": configuration.secret_key,
    "SITE_URL": configuration.site_url,
    "Debug mode": configuration.debug_mode,
    "Django": configuration.django_checks,
    "Email": services.email,
}
DATABASE: dict[str, Check] = {"Database": services.database}
MIGRATIONS: dict[str, Check] = {"Migrations": services.migrations}
TABLES: dict[str, Check] = {
    "Database latency": services.database_latency,
    "Schema": services.schema,
    "Clock": services.clock,
    "Proxies": configuration.proxies,
    "Storage": operation.storage,
    "Files": operation.files,
    "Queue": operation.queue,
    "Stuck recordings": operation.stuck_recordings,
    "Daily usage": operation.daily_usage,
    "Bill": operation.bill,
    "Backups": operation.backups,
}
VALKEY: dict[str, Check] = {"Valkey": services.valkey}
PROCESSES: dict[str, Check] = {
    "Valkey latency": services.valkey_latency,
    "Worker": operation.worker,
    "Scheduler": operation.scheduler,
}
UNEXPECTED = "It is unknown whether anything is wrong."


def examine() -> Iterator[Finding]:
    """Run all checks. Without a server, those that need it are left out."""
    yield from _run(INSTALLATION)  # first: starting the servers corrects some permissions
    with ExitStack() as running:
        try:
            running.enter_context(servers(**settings.EMBEDDED_SERVERS))
        except EmbeddedError as error:
            yield Finding(str(error), "Transcodio does not start.", "", "Embedded servers")
            return
        if (yield from _passed(DATABASE)) and (yield from _passed(MIGRATIONS)):
            yield from _run(TABLES)
        if (yield from _passed(VALKEY)):
            yield from _run(PROCESSES)


def _passed(checks: dict[str, Check]) -> Generator[Finding, None, bool]:
    """Run the checks. Return whether they found no problem."""
    findings = list(_run(checks))
    yield from findings
    return not any(finding.is_problem for finding in findings)


def _run(checks: dict[str, Check]) -> Iterator[Finding]:
    for name, check in checks.items():
        try:
            findings = list(check())
        except Exception as error:  # whatever is broken, the other checks still run
            findings = [Finding(f"the check failed: {error!r}", UNEXPECTED)]
        yield from (replace(finding, check=name) for finding in findings)
