"""What the application's role can do in the embedded database, and the conversion of old ones."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from psycopg.errors import InsufficientPrivilege

from transcodio_site import embedded
from transcodio_site.embedded import access, postgres
from transcodio_site.tests.embedded_servers import query, var

__all__ = ["var"]


@pytest.fixture
def connection() -> Iterator[psycopg.Connection]:
    """A connection as the role of the application."""
    with psycopg.connect(settings.DATABASE_URL, autocommit=True) as connection:
        yield connection


@pytest.mark.covers("attack", "SQL of the application reads or writes files of the server")
@pytest.mark.parametrize(
    "statement",
    [
        "COPY (SELECT 1) TO '{file}'",
        "COPY (SELECT 1) TO PROGRAM 'cat > {file}'",
        "CREATE TEMP TABLE t (line text); COPY t FROM '/etc/passwd'",
        "CREATE TEMP TABLE t (line text); COPY t FROM PROGRAM 'id'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_ls_dir('/')",
        "SELECT lo_export(lo_from_bytea(0, 'x'), '{file}')",
        "SELECT lo_import('/etc/passwd')",
    ],
)
def test_role_reaches_no_files(
    connection: psycopg.Connection, tmp_path: Path, statement: str
) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(InsufficientPrivilege):
        connection.execute(statement.format(file=tmp_path / "file"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.covers("attack", "SQL of the application tries to become superuser")
@pytest.mark.parametrize(
    "statement",
    [
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION postgres",
        "ALTER ROLE transcodio SUPERUSER",
        "ALTER ROLE postgres PASSWORD 'x'",
        "CREATE ROLE intruder",
        "GRANT pg_write_server_files TO transcodio",
        "ALTER SYSTEM SET archive_command = 'id'",
        "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'libc.so.6', 'getpid'",
        "CREATE EXTENSION adminpack",
        "UPDATE pg_authid SET rolsuper = true",
    ],
)
def test_role_cannot_become_superuser(connection: psycopg.Connection, statement: str) -> None:
    with pytest.raises((InsufficientPrivilege, psycopg.errors.FeatureNotSupported)):
        connection.execute(statement)


def test_role_owns_the_database_and_nothing_more(var: Path) -> None:
    with embedded.servers(var, valkey=False):
        attributes = """SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls
            FROM pg_roles WHERE rolname = current_user"""
        assert query(var, attributes) == [(False,) * 5]
        memberships = "SELECT * FROM pg_auth_members WHERE member = current_user::regrole"
        assert query(var, memberships) == []
        query(var, "CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY, text text)")
        assert query(var, "INSERT INTO notes (text) VALUES ('x') RETURNING id") == [(1,)]


@pytest.mark.covers("attack", "Another user of the machine connects to the database")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes users")
def test_other_users_are_refused_even_with_access_to_the_socket() -> None:
    sockets = postgres.Postgres(Path(settings.VAR_DIR)).sockets
    nobody = pwd.getpwnam("nobody").pw_uid
    groups = [folder.stat().st_gid for folder in (sockets, sockets.parent)]
    if child := os.fork():
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        return
    status = 1
    try:
        os.setgroups(groups)
        os.setgid(groups[0])
        os.setuid(nobody)
        access.connect(sockets, access.SUPERUSER, "postgres")
    except psycopg.OperationalError as error:
        status = 0 if "Peer authentication failed" in str(error) else 2
    finally:
        os._exit(status)


FORMER_SCHEMA = """
CREATE TYPE mood AS ENUM ('calm', 'cross');
CREATE DOMAIN address AS text CHECK (value LIKE '%@%');
CREATE COLLATION natural_order (provider = builtin, locale = 'C.UTF-8');
CREATE TEXT SEARCH CONFIGURATION words (COPY = simple);
CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE SEQUENCE numbers;
CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY, old serial, mood mood, who address);
CREATE INDEX ON notes (who);
CREATE VIEW calm AS SELECT * FROM notes WHERE mood = 'calm';
INSERT INTO notes (mood, who) VALUES ('calm', 'a@example.com');
"""


@pytest.mark.covers("fault", "The database was created by a release with other roles")
def test_superuser_of_an_earlier_release_becomes_a_plain_role(
    var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as former:
        options = ["trust" if option == "peer" else option for option in postgres.INITDB_OPTIONS]
        options[options.index(access.SUPERUSER)] = access.DATABASE_NAME
        former.setattr(postgres, "INITDB_OPTIONS", options)
        former.setattr(postgres, "write_access_rules", lambda cluster: None)
        former.setattr(postgres, "prepare_database", lambda sockets: None)
        with embedded.servers(var, valkey=False):
            sockets = postgres.Postgres(var).sockets
            with access.connect(sockets, "transcodio", "postgres") as connection:
                connection.execute("CREATE DATABASE transcodio")
            query(var, FORMER_SCHEMA)
            assert query(var, "SELECT current_setting('is_superuser')") == [("on",)]
    for _ in range(2):
        with embedded.servers(var, valkey=False):
            assert query(var, "SELECT current_setting('is_superuser')") == [("off",)]
            assert query(var, "SELECT who, one() FROM calm") == [("a@example.com", 1)]
            query(var, "INSERT INTO notes (mood, who) VALUES ('cross', 'b@example.com')")
            query(var, "ALTER TABLE notes ADD COLUMN IF NOT EXISTS more text")
            left = "relowner = 'transcodio_former'::regrole AND oid >= 16384"
            assert query(var, f"SELECT relname FROM pg_class WHERE {left}") == []  # noqa: S608
            with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
                access.connect(sockets, "transcodio_former", "transcodio")
    with embedded.servers(var, valkey=False):
        query(var, "DROP TYPE mood CASCADE; DROP DOMAIN address CASCADE; DROP FUNCTION one;")
        query(var, "DROP COLLATION natural_order; DROP TEXT SEARCH CONFIGURATION words")
        query(var, "DROP SEQUENCE numbers; DROP TABLE notes CASCADE")
