import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from engine import seed
from engine.accounts.passwords import verify_password
from engine.accounts.queries import find_registered
from engine.cli import database as cli_database
from engine.cli import doctor as cli_doctor
from engine.cli.app import app, sentence_of
from engine.cli.database import await_schema
from engine.cli.doctor import examine
from engine.cli.up import UpError, only_one
from engine.core.bootstrap import DatabaseUrls
from engine.core.errors import Invalid
from engine.core.settings import DATABASE_VARIABLES, Environment, SettingsError, project_root, settings
from engine.core.system import system_session


@pytest.fixture
def runner() -> CliRunner:
    return CliRunner()


def test_a_company_and_its_owner_are_made(runner: CliRunner, database: DatabaseUrls) -> None:
    company = runner.invoke(app, ["company", "create", "Padaria Sol"])
    slug = company.stdout.split()[0]

    owner = runner.invoke(app, ["user", "create", "ana@sol.example", "--company", slug, "--role", "owner"])

    assert company.exit_code == owner.exit_code == 0
    assert "ana@sol.example is owner of Padaria Sol." in owner.stdout
    assert "Password: " in owner.stdout


def test_somebody_known_joins_another_company_with_the_password_they_have(
    runner: CliRunner, database: DatabaseUrls
) -> None:
    for name in ("Um", "Dois"):
        runner.invoke(app, ["company", "create", name])
    runner.invoke(app, ["user", "create", "ana@sol.example", "--company", "um"])

    joined = runner.invoke(app, ["user", "create", "ana@sol.example", "--company", "dois"])

    assert joined.exit_code == 0
    assert "Password" not in joined.stdout


def test_a_password_from_standard_input_is_not_shown(runner: CliRunner, database: DatabaseUrls) -> None:
    runner.invoke(app, ["company", "create", "Padaria Sol"])

    made = runner.invoke(
        app,
        ["user", "create", "ana@sol.example", "--company", "padaria-sol", "--password-stdin"],
        input="trigo-fermento-sal\n",
    )

    assert made.exit_code == 0
    assert "trigo" not in made.stdout
    assert "Password" not in made.stdout


@pytest.fixture
def ana(runner: CliRunner, database: DatabaseUrls) -> Callable[..., str]:
    """Runs `masteria user …` of a company in which Ana and Bia are owners; answers what it said."""
    runner.invoke(app, ["company", "create", "Padaria Sol"])
    for email in ("ana@sol.example", "bia@sol.example"):
        runner.invoke(app, ["user", "create", email, "--company", "padaria-sol", "--role", "owner"])

    def run(*words: str, **given: str) -> str:
        answer = runner.invoke(app, ["user", *words], **given)
        if answer.exception is not None:
            return sentence_of(answer.exception)
        return answer.stdout

    return run


def hash_of(email: str) -> str | None:
    with system_session() as session:
        found = find_registered(session, email)
        return found.password_hash if found else None


def test_somebody_who_forgot_their_password_gets_another(ana: Callable[..., str]) -> None:
    before = hash_of("ana@sol.example")

    drawn = ana("password", "Ana@sol.example")
    given = ana("password", "bia@sol.example", "--password-stdin", input="trigo-fermento-sal\n")

    assert "Password: " in drawn
    assert "Password" not in given
    assert hash_of("ana@sol.example") != before
    assert verify_password("trigo-fermento-sal", hash_of("bia@sol.example"))


def test_a_member_becomes_something_else_and_leaves_but_the_last_owner_stays(
    ana: Callable[..., str],
) -> None:
    said = [
        ana("role", "ana@sol.example", "agent", "--company", "padaria-sol"),
        ana("remove", "ana@sol.example", "--company", "padaria-sol"),
        ana("remove", "bia@sol.example", "--company", "padaria-sol"),
        ana("role", "nobody@sol.example", "agent", "--company", "padaria-sol"),
    ]

    assert said == [
        "ana@sol.example is agent of Padaria Sol.\n",
        "ana@sol.example no longer belongs to Padaria Sol.\n",
        "A company needs an owner. Make somebody else an owner first.",
        "There is nobody with this e-mail address.",
    ]


def test_a_barred_person_is_let_in_again(ana: Callable[..., str]) -> None:
    def is_barred() -> bool:
        with system_session() as session:
            found = find_registered(session, "ana@sol.example")
            return found is not None and found.user.disabled_at is not None

    ana("disable", "ana@sol.example")
    barred = is_barred()
    ana("enable", "ana@sol.example")

    assert (barred, is_barred()) == (True, False)


@pytest.mark.parametrize("country", ["ZZ", "br", "BRA", ""])
def test_a_country_without_phone_numbers_is_none(
    runner: CliRunner, database: DatabaseUrls, country: str
) -> None:
    refused = runner.invoke(app, ["company", "create", "Padaria Sol", "--country", country])

    assert isinstance(refused.exception, Invalid)
    assert refused.exception.fields[0].code == "unknown_country"


def test_a_command_that_finds_no_database_says_how_to_start_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = dict.fromkeys(DATABASE_VARIABLES, "postgresql://a:b@127.0.0.1:1/c")
    fresh = {"PATH": os.environ["PATH"], "MASTERIA_HOME": str(tmp_path), "LANG": "C"}

    said = [
        subprocess.run(
            (sys.executable, "-m", "engine.cli", "company", "list"),
            env=fresh | given,
            cwd=project_root(),
            capture_output=True,
            text=True,
            check=False,
        )
        for given in ({}, nowhere)
    ]

    assert [one.returncode for one in said] == [1, 1]
    assert said[0].stderr.count("\n") == said[1].stderr.count("\n") == 1
    assert "`make up`" in said[0].stderr
    assert DATABASE_VARIABLES[0] in said[1].stderr


def test_a_schema_of_another_version_is_waited_for(
    runner: CliRunner, database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    def waits(seconds: str) -> str:
        answer = runner.invoke(app, ["await-schema", "--seconds", seconds])
        return "" if answer.exception is None else sentence_of(answer.exception)

    with psycopg.connect(database.owner, autocommit=True) as owner, ThreadPoolExecutor() as others:
        row = owner.execute("select version_num from alembic_version").fetchone()
        assert row is not None
        owner.execute("update alembic_version set version_num = 'older'")
        try:
            in_vain = waits("0")
            patient = others.submit(await_schema, 60)
        finally:
            owner.execute("update alembic_version set version_num = %s", row)
        patient.result()
    nowhere = settings().model_copy(update={"database_url": "postgresql://a:b@127.0.0.1:1/c"})
    monkeypatch.setattr(cli_database, "settings", lambda: nowhere)
    away = waits("0")

    assert "it is older, this version's is" in in_vain
    assert "Run masteria migrate." in in_vain
    assert "the database does not answer. Is it running, and is MASTERIA_DATABASE_URL right?" in away


def test_what_does_not_fit_is_told_in_the_terminals_language(monkeypatch: pytest.MonkeyPatch) -> None:
    error = Invalid.field("email", "bad_email", "This is not an e-mail address.")

    def said(**environment: str) -> str:
        for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return sentence_of(error)

    portuguese, english = "email: Isto não é um endereço de e-mail.", "email: This is not an e-mail address."
    assert said(LANG="pt_BR.UTF-8") == said(LANG="C", LC_MESSAGES="pt_BR.UTF-8") == portuguese
    assert said(LANG="C.UTF-8") == said(LANG="pt_BR.UTF-8", LC_ALL="C.UTF-8") == english
    assert said() == english


def test_the_script_for_a_dba_comes_alone_on_standard_output(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in DATABASE_VARIABLES:
        monkeypatch.delenv(name, raising=False)

    printed = runner.invoke(app, ["bootstrap-database", "--print"])

    assert printed.exit_code == 0
    assert printed.stdout.startswith("-- Master IA")
    assert "MASTERIA_DATABASE_URL=" not in printed.stdout
    assert "MASTERIA_DATABASE_URL=postgresql://masteria_app:" in printed.stderr


def test_a_bootstrap_without_an_address_says_what_to_do(runner: CliRunner) -> None:
    refused = runner.invoke(app, ["bootstrap-database"])

    assert refused.exit_code == 2
    assert "MASTERIA_SUPERUSER_URL" in refused.stderr


def test_production_gets_no_demo_company(
    runner: CliRunner, database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_production = settings().model_copy(update={"environment": Environment.PRODUCTION})
    monkeypatch.setattr(seed, "settings", lambda: in_production)

    refused = runner.invoke(app, ["seed"])

    assert isinstance(refused.exception, SettingsError)
    assert "no demo company" in sentence_of(refused.exception)
    assert runner.invoke(app, ["company", "list"]).stdout == "No company yet.\n"


def test_the_doctor_reads_the_schema_without_the_owners_address(
    database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(DATABASE_VARIABLES[2])
    settings.cache_clear()

    [schema] = [finding for finding in examine() if finding.subject == "schema"]
    settings.cache_clear()

    assert schema.ok
    assert schema.text.startswith("revision ")


def test_the_doctor_names_the_ports_of_what_runs_and_not_those_of_this_shell(
    database: DatabaseUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = settings().model_copy(update={"home": tmp_path, "api_port": 8000})
    monkeypatch.setattr(cli_doctor, "settings", lambda: here)

    with only_one(here.model_copy(update={"api_port": 8123})):
        subjects = [finding.subject for finding in examine() if finding.text == "api, running"]
        with pytest.raises(UpError, match="Ctrl-C there stops it"), only_one(here):
            pass

    assert subjects == ["port 8123"]


def test_the_doctor_finds_a_migrated_database_well(database: DatabaseUrls) -> None:
    findings = {finding.subject: finding for finding in examine()}

    assert {"database (app)", "database (system)", "schema", "redis"} <= set(findings)
    assert [
        subject for subject, finding in findings.items() if not finding.ok and "port" not in subject
    ] == []
