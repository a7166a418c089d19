"""The pytest plugin of all tests: real servers in a temporary data folder, users, and real media.

`addopts` loads it before the settings are imported, because they read VAR_DIR from the environment.
"""

from __future__ import annotations

import gc
import os
import resource
import shutil
import tempfile
import uuid
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from transcodio_site.sample import SAMPLE as SAMPLE
from transcodio_site.testing_media import WAIT_S as WAIT_S
from transcodio_site.testing_media import Media as Media
from transcodio_site.testing_stack import HOLD_FOLDER as HOLD_FOLDER
from transcodio_site.testing_stack import READY as READY
from transcodio_site.testing_stack import ROOT as ROOT
from transcodio_site.testing_stack import Hold as Hold
from transcodio_site.testing_stack import Stack as Stack
from transcodio_site.testing_stack import connect as connect
from transcodio_site.testing_stack import wait_until as wait_until
from transcodio_site.testing_storage import bucket as bucket
from transcodio_site.testing_storage import fault_proxy as fault_proxy
from transcodio_site.testing_storage import object_storage as object_storage

if TYPE_CHECKING:
    from accounts.models import User

SAMPLE_TEXT = SAMPLE.with_suffix(".txt")

_var = Path(tempfile.mkdtemp(prefix="transcodio-test-"))
_servers = ExitStack()
# The tests must not use or change the developer's installation.
for _name in (
    *("DATABASE_URL", "REDIS_URL", "SITE_URL", "STT_ENGINE", "SECRET_KEY"),
    *("STORAGE_URL", "STORAGE_DIRECT"),
):
    os.environ.pop(_name, None)
os.environ["VAR_DIR"] = str(_var)
# The matrices in the tests are small: more threads would only wait for each other in busy loops.
os.environ["OMP_NUM_THREADS"] = "1"
for _name in ("NO_PROXY", "no_proxy"):  # a proxy of this machine cannot reach servers of the tests
    _hosts = [os.environ.get(_name), "127.0.0.1", "localhost"]
    os.environ[_name] = ",".join(host for host in _hosts if host)


def pytest_configure(config: pytest.Config) -> None:
    """Start Postgres and Valkey, once for each process that runs tests."""
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        return  # the xdist controller, which runs no tests
    from django.conf import settings

    from transcodio_site import embedded

    _servers.enter_context(embedded.servers(_var))
    _prepare_postgres(embedded.superuser_url(_var))
    _speed_up_flush()
    _lengthen_default_timeouts()
    # Tests create hundreds of users, and a secure hash is slow on purpose.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    # All tests have the same client address.
    settings.RATE_LIMIT_PER_ADDRESS = settings.RATE_LIMIT_PAGES = "100000/minute"
    settings.RATE_LIMIT_WRONG_TOKENS = "100000/minute"
    settings.MFA_TOTP_TOLERANCE = 1  # a code may be typed in just after its half minute


def _lengthen_default_timeouts() -> None:
    """By default Hypothesis allows 200 ms per example and httpx 5 s per response: on a busy machine
    both would fail tests."""
    import hypothesis
    from httpx._config import DEFAULT_TIMEOUT_CONFIG

    patient = hypothesis.settings(
        deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
    )
    # The same examples each time: unrelated changes stay green. `thorough` looks for others.
    hypothesis.settings.register_profile("transcodio", patient, derandomize=True)
    hypothesis.settings.register_profile("thorough", patient, max_examples=2000)
    hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "transcodio"))
    for phase in ("connect", "read", "write", "pool"):
        setattr(DEFAULT_TIMEOUT_CONFIG, phase, WAIT_S)


def _prepare_postgres(url: str) -> None:
    """Let the application's role create the test database and turn off triggers, and do not wait
    for the disk: test data may be lost."""
    import psycopg

    from transcodio_site.embedded.access import DATABASE_NAME

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER ROLE {DATABASE_NAME} CREATEDB")
        connection.execute(f"GRANT SET ON PARAMETER session_replication_role TO {DATABASE_NAME}")
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {name} = off")
        connection.execute("SELECT pg_reload_conf()")


def _speed_up_flush() -> None:
    """Delete rows after a transactional test, where Django would truncate all tables.

    TRUNCATE creates a new file for each table, which is slow for a handful of rows. Rows that
    migrations have created stay, and triggers and foreign keys are off during the deletion.
    """
    from django.core.management.commands import flush
    from django.db.backends.postgresql.operations import DatabaseOperations

    from_migrations = {"django_content_type", "auth_permission"}

    def sql_flush(self: Any, style: Any, tables: list[str], **_: Any) -> list[str]:
        names = [self.quote_name(table) for table in tables if table not in from_migrations]
        deletes = "; ".join(f"DELETE FROM {table}" for table in names)  # noqa: S608
        return [f"SET LOCAL session_replication_role = replica; {deletes}"] if names else []

    flush.emit_post_migrate_signal = lambda *_, **__: None  # type: ignore[attr-defined]
    DatabaseOperations.sql_flush = sql_flush  # type: ignore[assignment, method-assign]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Load the tests without garbage collection, which takes a third of that time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the servers and delete their data."""
    _servers.close()
    shutil.rmtree(_var, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def remove_server_homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Delete databases of tests that run as root. Postgres's user cannot read `tmp_path`, so they
    are elsewhere."""
    yield
    from transcodio_site.embedded.cluster import OWNER_NOTE, SERVER_HOMES

    for note in SERVER_HOMES.glob(f"*/{OWNER_NOTE}"):
        if Path(note.read_text().strip()).is_relative_to(tmp_path_factory.getbasetemp()):
            shutil.rmtree(note.parent, ignore_errors=True)


@pytest.fixture(autouse=True)
def emails_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send emails as soon as they are stored: most tests run no worker and commit nothing."""
    from accounts import outbox

    def send_now(message: Any) -> None:
        for key in outbox.add(message):
            outbox.send(key)

    for module in ("accounts.tasks", "transcriptions.notifications.emails"):
        monkeypatch.setattr(f"{module}.send_later", send_now)


@pytest.fixture(autouse=True)
def fresh_cache(settings: Any) -> None:
    """An empty cache for each test: allauth counts emails and sign-in attempts by address there."""
    prefix = uuid.uuid4().hex
    settings.CACHES = {"default": {**settings.CACHES["default"], "KEY_PREFIX": prefix}}


# --- Users --------------------------------------------------------------------------------------


@pytest.fixture
def alice(db: None) -> User:
    """The owner of the recordings."""
    return _user("alice@example.com")


@pytest.fixture
def bob(db: None) -> User:
    """A user without access to the recordings of others."""
    return _user("bob@example.com")


@pytest.fixture
def carol(db: None) -> User:
    """A superuser."""
    return _user("carol@example.com", is_staff=True, is_superuser=True)


def _user(email: str, **fields: Any) -> User:
    from accounts.models import User

    return User.objects.create_user(email, "correct horse battery", **fields)


@pytest.fixture
def token_of() -> Any:
    """A function that creates a token for a user and returns its Authorization header."""
    from accounts.tokens import issue_token

    def header(user: User) -> dict[str, str]:
        return {"Authorization": f"Bearer {issue_token(user)[1]}"}

    return header


# --- Media --------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def media() -> Iterator[Media]:
    """Create recordings, valid and damaged, with the FFmpeg that the product uses."""
    with tempfile.TemporaryDirectory(prefix="transcodio-media-") as folder:
        yield Media(Path(folder))


# --- The whole stack ----------------------------------------------------------------------------


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """`manage.py up` with its own data folder and servers."""
    with tempfile.TemporaryDirectory(prefix="transcodio-stack-") as folder:
        running = Stack(Path(folder))
        try:
            running.start()
            yield running
        finally:
            running.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the log of the stack to the report of a failed test that uses it."""
    report = yield
    running = getattr(item, "funcargs", {}).get("stack")
    if report.when == "call" and report.failed and running:
        report.sections.append(("Log of the stack", running.log()[-20_000:]))
    return report


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let writes fail behind this position of a file, like on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
