"""`manage.py up`: the web server, the worker and the scheduler, until Ctrl-C."""

from __future__ import annotations

import os
import signal
from typing import Any

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, connections

from transcodio_site.demo_account import demo_account
from transcodio_site.embedded import check_free_space, data_folder
from transcodio_site.files import exclusive_lock
from transcodio_site.supervisor import (
    StackError,
    check_port,
    os_errors_as_stack_errors,
    running,
    stop_leftovers,
)
from transcriptions.exceptions import StorageUnavailable
from transcriptions.storage.base import recording_storage


class Command(BaseCommand):
    help = (
        "Starts the web server, the worker and the scheduler, and keeps them running until Ctrl-C."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The arguments of the command."""
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *args: Any, **options: Any) -> None:
        """Return after Ctrl-C or SIGTERM."""
        stopping: list[int] = []
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: stopping.append(number))
        try:
            stop_leftovers()  # they may hold the port
            check_port(options["host"], options["port"])  # before anything is changed
            prepare()
            with running(options["host"], options["port"]) as stack:
                self._print_login(stack.url)
                stack.watch(until=lambda: bool(stopping))
                self.stdout.write("Stopping ...")
        except StackError as error:
            raise CommandError(str(error)) from None

    def _print_login(self, url: str) -> None:
        self.stdout.write(f"\nTranscodio is ready: {url}\n")
        if settings.EMBEDDED:
            account = demo_account()
            self.stdout.write(f"  sign in as  {account.email}  password  {account.password}")
            self.stdout.write(f"  API token   {account.token}")
            if (data := data_folder(settings.VAR_DIR)).parent != settings.VAR_DIR:
                self.stdout.write(f"  database    {data}")  # outside VAR_DIR: must be backed up too
        self.stdout.write("Press Ctrl-C to stop. The data is kept.\n")
        self.stdout.flush()
        connections.close_all()


def prepare() -> None:
    """Check the free space and the storage, migrate the database, and create the demo account.

    Raises StackError, EmbeddedError.
    """
    os.umask(0o077)  # only this user can read what this command and its processes write
    check_free_space(settings.VAR_DIR)
    try:  # once, without the pool, which would retry for 30 s and hide the reason
        psycopg.connect(**connection.get_connection_params()).close()
    except psycopg.OperationalError as error:
        reason = " ".join(str(error).split())
        raise StackError(f"No connection to the database: check DATABASE_URL ({reason}).") from None
    try:
        recording_storage().check_access()
    except StorageUnavailable as error:
        raise StackError(f"No access to the storage: check STORAGE_URL ({error}).") from None
    with (
        os_errors_as_stack_errors(),
        exclusive_lock(settings.VAR_DIR / "prepare.lock"),  # one first start at a time
    ):
        call_command("migrate", verbosity=0, interactive=False)
        if settings.EMBEDDED:
            demo_account()
    connections.close_all()
