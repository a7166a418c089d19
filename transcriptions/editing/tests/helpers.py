"""A change that waits for another one, each in its own transaction."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from django.db import connection, connections, transaction

from transcodio_site.testing import wait_until


def run_behind_lock(change: Callable[[], Any], waiting: Callable[[], Any]) -> None:
    """Make `change` in a transaction that ends when `waiting`, in another thread, waits for it."""

    def run() -> None:
        try:
            waiting()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    with transaction.atomic():
        change()
        thread.start()
        wait_until(lambda: _is_waiting_for_lock() or not thread.is_alive())
    thread.join()


def _is_waiting_for_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])
