"""The three roles, the database and its extensions, made by a superuser once; safe to run again.

`bootstrap_database` does it; `bootstrap_script` prints the same as a psql script for a DBA. Passwords leave
this process only as SCRAM verifiers, so that neither a server log nor the printed script holds one.
"""

import base64
import hashlib
import hmac
import os
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

OWNER_ROLE = "masteria_owner"
APP_ROLE = "masteria_app"
SYSTEM_ROLE = "masteria_system"
EXTENSIONS = ("vector", "pg_trgm", "btree_gin")
SCRAM_ITERATIONS = 4096  # PostgreSQL's own default (scram_iterations)

# The builtin locale sorts and folds alike on every machine: an index made here is right on another libc.
DATABASE_LOCALE = "TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER builtin LOCALE 'C.UTF-8'"

ROLE_ATTRIBUTES = {
    OWNER_ROLE: "LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION",
    APP_ROLE: "LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION",
    SYSTEM_ROLE: "LOGIN NOSUPERUSER BYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION",
}


@dataclass(frozen=True, slots=True)
class RolePasswords:
    """The password of each role."""

    owner: str
    app: str
    system: str

    def by_role(self) -> dict[str, str]:
        """The passwords under the names of their roles."""
        return {OWNER_ROLE: self.owner, APP_ROLE: self.app, SYSTEM_ROLE: self.system}


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """One address per role, as the settings want them."""

    app: str
    system: str
    owner: str


def database_urls(server_url: str, database: str, passwords: RolePasswords) -> DatabaseUrls:
    """The three addresses of a database on the server that `server_url` names."""

    def address(role: str) -> str:
        parts = urlsplit(server_url)
        host = parts.netloc.rpartition("@")[2]
        netloc = f"{role}:{quote(passwords.by_role()[role], safe='')}@{host}"
        return urlunsplit((parts.scheme, netloc, f"/{database}", parts.query, ""))

    return DatabaseUrls(app=address(APP_ROLE), system=address(SYSTEM_ROLE), owner=address(OWNER_ROLE))


def bootstrap_database(superuser_url: str, *, database: str, passwords: RolePasswords) -> None:
    """Make or mend roles, database and extensions; `superuser_url` may name any database of the server."""
    with psycopg.connect(superuser_url, autocommit=True) as server:
        for statement in role_statements(passwords):
            server.execute(statement)
        made = server.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone()
        if made is None:
            server.execute(_create_database(database))
    parts = urlsplit(superuser_url)
    inside_url = urlunsplit((parts.scheme, parts.netloc, f"/{database}", parts.query, ""))
    with psycopg.connect(inside_url, autocommit=True) as inside:
        for statement in inside_statements(database):
            inside.execute(statement)


def bootstrap_script(*, database: str, passwords: RolePasswords) -> str:
    """The same as a script for psql, to be read and run by whoever holds the superuser."""
    name = sql.Literal(database)
    create = sql.SQL("SELECT {} WHERE NOT EXISTS (SELECT 1 FROM pg_database WHERE datname = {})").format(
        sql.Literal(_create_database(database).as_string()), name
    )
    lines = [
        f"-- Master IA: roles, database {database} and extensions. Safe to run again.",
        "\\set ON_ERROR_STOP on",
        *(f"{statement.as_string()};" for statement in role_statements(passwords)),
        f"{create.as_string()} \\gexec",
        f"\\connect {sql.Identifier(database).as_string()}",
        *(f"{statement.as_string()};" for statement in inside_statements(database)),
    ]
    return "\n".join(lines) + "\n"


def role_statements(passwords: RolePasswords) -> list[sql.SQL | sql.Composed]:
    """Statements that make each role where it is missing and set its powers and password."""
    statements: list[sql.SQL | sql.Composed] = []
    for role, password in passwords.by_role().items():
        create = sql.SQL(
            "DO $do$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = {name})"
            " THEN CREATE ROLE {role}; END IF; END $do$"
        )
        statements.append(create.format(name=sql.Literal(role), role=sql.Identifier(role)))
        alter = sql.SQL("ALTER ROLE {role} WITH {powers} PASSWORD {verifier}")
        statements.append(
            alter.format(
                role=sql.Identifier(role),
                powers=sql.SQL(ROLE_ATTRIBUTES[role]),
                verifier=sql.Literal(scram_verifier(password)),
            )
        )
    return statements


def inside_statements(database: str) -> list[sql.SQL | sql.Composed]:
    """Statements for within the database: who may enter, and the extensions only a superuser may make."""
    name = sql.Identifier(database)
    roles = sql.SQL(", ").join(sql.Identifier(role) for role in ROLE_ATTRIBUTES)
    return [
        sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name),
        sql.SQL("GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}").format(name, roles),
        sql.SQL("ALTER DATABASE {} SET timezone TO 'UTC'").format(name),
        # A session that forgot its transaction would hold locks and vacuum back: the server ends it.
        sql.SQL("ALTER DATABASE {} SET idle_in_transaction_session_timeout TO '60s'").format(name),
        sql.SQL("REVOKE ALL ON SCHEMA public FROM PUBLIC"),
        sql.SQL("GRANT ALL ON SCHEMA public TO {}").format(sql.Identifier(OWNER_ROLE)),
        sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(roles),
        # The owner may hand a function over to the system role (the search over contacts), and inherits nothing of it.
        sql.SQL("GRANT {} TO {} WITH INHERIT FALSE, SET TRUE").format(
            sql.Identifier(SYSTEM_ROLE), sql.Identifier(OWNER_ROLE)
        ),
        *(
            sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(extension))
            for extension in EXTENSIONS
        ),
    ]


def _create_database(database: str) -> sql.Composed:
    return sql.SQL("CREATE DATABASE {} OWNER {} " + DATABASE_LOCALE).format(
        sql.Identifier(database), sql.Identifier(OWNER_ROLE)
    )


def scram_verifier(password: str, salt: bytes | None = None) -> str:
    """What PostgreSQL stores of a password (RFC 5803); for ASCII passwords, which ours are."""
    salt = salt or os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, SCRAM_ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${SCRAM_ITERATIONS}:{salt64}${stored64}:{server64}"
