"""Each test starts without the reports that processes made in earlier tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from transcodio_site import valkey
from transcodio_site.monitoring import parts, processes


@pytest.fixture(autouse=True)
def no_reports() -> Iterator[None]:
    """No process has reported anything to the Valkey of these tests."""

    def delete() -> None:
        with valkey.connect() as client:
            client.delete(processes.STOPS, *client.keys("transcodio:running:*"))
        parts.parts.cache_clear()

    delete()
    yield
    delete()
