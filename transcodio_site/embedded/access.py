"""Who may do what in the database: the superuser, and the plain role of the application.

Only the user who runs Transcodio can connect, over the private socket. The application's role owns
its database and nothing else: it can neither read nor write files of the server, nor start
programs. Migrations run as that role. An extension that is not trusted has to be created here.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import psycopg

from transcodio_site.embedded.cluster import Cluster
from transcodio_site.embedded.folders import EmbeddedError

SUPERUSER = "postgres"
DATABASE_NAME = "transcodio"  # also the name of the application's role
FORMER_SUPERUSER = "transcodio_former"

# Before there was a plain role, the application was the superuser that `initdb` had created.
# REASSIGN OWNED refuses that role, because it also owns the system catalogs.
OWNED_OBJECTS = f"""
WITH object AS (
    SELECT tableoid, oid FROM pg_class
        WHERE relowner = %(owner)s AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    UNION ALL SELECT tableoid, oid FROM pg_proc WHERE proowner = %(owner)s
    UNION ALL SELECT tableoid, oid FROM pg_type
        WHERE typowner = %(owner)s AND typrelid = 0 AND typcategory <> 'A' AND typtype <> 'm'
    UNION ALL SELECT tableoid, oid FROM pg_collation WHERE collowner = %(owner)s
    UNION ALL SELECT tableoid, oid FROM pg_ts_config WHERE cfgowner = %(owner)s
    UNION ALL SELECT tableoid, oid FROM pg_ts_dict WHERE dictowner = %(owner)s
    UNION ALL SELECT tableoid, oid FROM pg_namespace WHERE nspowner = %(owner)s
)
SELECT format('ALTER %%s %%s OWNER TO {DATABASE_NAME}', described.type, described.identity)
FROM object, pg_identify_object(object.tableoid, object.oid, 0) AS described
WHERE object.oid >= 16384  -- FirstNormalObjectId: not a part of Postgres
AND NOT EXISTS (  -- of an extension, or of a column, whose owner it follows
    SELECT FROM pg_depend WHERE classid = object.tableoid AND objid = object.oid
    AND (deptype = 'e' OR (deptype IN ('a', 'i') AND refclassid = 'pg_class'::regclass))
)
"""  # noqa: S608 - a constant


def connect(sockets: Path, user: str, database: str) -> psycopg.Connection:
    """Connect over the socket in this folder. Raises psycopg.OperationalError."""
    return psycopg.connect(
        host=str(sockets), port=5432, user=user, dbname=database, autocommit=True
    )


def write_access_rules(cluster: Cluster) -> None:
    """Let only the current user connect: the server asks the kernel who that is.

    Raises EmbeddedError.
    """
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name.replace('"', '""')
    except KeyError:
        raise EmbeddedError(
            f"The user with the id {os.geteuid()} has no name, which Postgres requires. "
            "Run Transcodio as another user, or set DATABASE_URL."
        ) from None
    rules = {
        "pg_hba.conf": "local all all peer map=transcodio\n",
        "pg_ident.conf": f'transcodio "{name}" all\n',
    }
    for file, text in rules.items():
        if _read(cluster, file) != text:
            cluster.user.write(cluster.data / file, text)


def _read(cluster: Cluster, file: str) -> str:
    try:
        return cluster.user.read(cluster.data / file)
    except OSError:  # it does not exist
        return ""


def prepare_database(sockets: Path) -> None:
    """Create the application's role and its database. Raises psycopg.Error."""
    with _connect_as_superuser(sockets) as connection:
        role = connection.execute(
            "SELECT rolsuper FROM pg_roles WHERE rolname = %s", [DATABASE_NAME]
        ).fetchone()
        if not role:
            connection.execute(f"CREATE ROLE {DATABASE_NAME} LOGIN")
        query = "SELECT 1 FROM pg_database WHERE datname = %s"
        if not connection.execute(query, [DATABASE_NAME]).fetchone():
            connection.execute(f"CREATE DATABASE {DATABASE_NAME} OWNER {DATABASE_NAME}")
    if role == (True,):
        with connect(sockets, SUPERUSER, DATABASE_NAME) as connection, connection.transaction():
            _replace_superuser(connection)


def _connect_as_superuser(sockets: Path) -> psycopg.Connection:
    try:
        return connect(sockets, SUPERUSER, "postgres")
    except psycopg.OperationalError:  # a cluster of an earlier release has no such role
        with connect(sockets, DATABASE_NAME, "postgres") as connection:
            connection.execute(f"CREATE ROLE {SUPERUSER} SUPERUSER LOGIN")
        return connect(sockets, SUPERUSER, "postgres")


def _replace_superuser(connection: psycopg.Connection) -> None:
    """Turn the role of the application into a plain one that owns the same objects."""
    owner = connection.execute(
        "SELECT oid FROM pg_roles WHERE rolname = %s", [DATABASE_NAME]
    ).fetchone()
    assert owner  # noqa: S101 - for mypy
    connection.execute(f"ALTER ROLE {DATABASE_NAME} RENAME TO {FORMER_SUPERUSER}")
    connection.execute(f"ALTER ROLE {FORMER_SUPERUSER} NOLOGIN")
    connection.execute(f"CREATE ROLE {DATABASE_NAME} LOGIN")
    connection.execute(f"ALTER DATABASE {DATABASE_NAME} OWNER TO {DATABASE_NAME}")
    for (statement,) in connection.execute(OWNED_OBJECTS, {"owner": owner[0]}).fetchall():
        connection.execute(statement)
