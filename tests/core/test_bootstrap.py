import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from engine.core.bootstrap import (
    EXTENSIONS,
    DatabaseUrls,
    RolePasswords,
    bootstrap_database,
    bootstrap_script,
    database_urls,
)
from engine.embedded import RunningPostgres


def passwords_of(urls: DatabaseUrls) -> RolePasswords:
    """The passwords in force: roles are the cluster's, so other tests need them unchanged."""
    app, system, owner = (urlsplit(url).password or "" for url in (urls.app, urls.system, urls.owner))
    return RolePasswords(owner=owner, app=app, system=system)


@pytest.mark.parametrize(("role", "bypasses"), [("app", False), ("system", True), ("owner", False)])
def test_a_role_has_its_powers_and_no_more(postgres: DatabaseUrls, role: str, bypasses: bool) -> None:
    with psycopg.connect(getattr(postgres, role)) as connection:
        row = connection.execute(
            "select rolbypassrls, rolsuper, rolcreatedb, rolcreaterole, rolreplication"
            " from pg_roles where rolname = current_user"
        ).fetchone()

    assert row == (bypasses, False, False, False, False)


def test_the_app_role_makes_no_tables(postgres: DatabaseUrls) -> None:
    with (
        psycopg.connect(postgres.app) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("create table mine (id int)")


def test_extensions_and_clock_are_in_place(postgres: DatabaseUrls) -> None:
    with psycopg.connect(postgres.app) as connection:
        present = {name for (name,) in connection.execute("select extname from pg_extension")}
        zone = connection.execute("show timezone").fetchone()

    assert present >= set(EXTENSIONS)
    assert zone == ("UTC",)


def test_words_with_accents_fold_and_have_trigrams(postgres: DatabaseUrls) -> None:
    with psycopg.connect(postgres.app) as connection:
        row = connection.execute(
            "select lower('ÁGUA'), 'água' % 'Água', similarity('ação', 'acao') > 0"
        ).fetchone()

    assert row == ("água", True, True)


def test_running_it_again_changes_nothing(running_postgres: RunningPostgres, postgres: DatabaseUrls) -> None:
    database = urlsplit(postgres.app).path.removeprefix("/")
    with psycopg.connect(postgres.owner) as connection:
        connection.execute("create table kept (id int)")
        connection.execute("insert into kept values (1)")

    bootstrap_database(running_postgres.server.url, database=database, passwords=passwords_of(postgres))

    with psycopg.connect(postgres.owner) as connection:
        assert connection.execute("select id from kept").fetchall() == [(1,)]
        connection.execute("drop table kept")


def test_the_printed_script_does_the_same(
    running_postgres: RunningPostgres, postgres: DatabaseUrls, tmp_path: Path
) -> None:
    passwords = passwords_of(postgres)
    script = tmp_path / "bootstrap.sql"
    script.write_text(bootstrap_script(database="by script", passwords=passwords))
    psql = Path(running_postgres.server.command[0]).with_name("psql")

    for _ in range(2):
        done = subprocess.run(
            [psql, "--no-psqlrc", "--quiet", running_postgres.server.url, "--file", script],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, ""), done.stderr

    urls = database_urls(running_postgres.server.url, "by%20script", passwords)
    with psycopg.connect(urls.app) as connection:
        present = {name for (name,) in connection.execute("select extname from pg_extension")}
    with psycopg.connect(running_postgres.server.url, autocommit=True) as server:
        server.execute('drop database "by script"')
    assert present >= set(EXTENSIONS)


def test_the_printed_script_holds_no_password() -> None:
    passwords = RolePasswords(owner="own-er", app="a-pp", system="sys-tem")

    script = bootstrap_script(database="masteria", passwords=passwords)

    assert [password for password in passwords.by_role().values() if password in script] == []
