import pytest
from typer.testing import CliRunner

from engine import seed
from engine.cli.app import app, sentence_of
from engine.cli.doctor import examine
from engine.core.bootstrap import DatabaseUrls
from engine.core.errors import Invalid
from engine.core.settings import DATABASE_VARIABLES, Environment, SettingsError, settings


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


def test_what_does_not_fit_is_told_in_the_terminals_language(monkeypatch: pytest.MonkeyPatch) -> None:
    error = Invalid.field("email", "bad_email", "This is not an e-mail address.")

    monkeypatch.setenv("LANG", "pt_BR.UTF-8")
    portuguese = sentence_of(error)
    monkeypatch.setenv("LANG", "C.UTF-8")
    english = sentence_of(error)

    assert portuguese == "email: Isto não é um endereço de e-mail."
    assert english == "email: This is not an e-mail address."


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


def test_the_doctor_finds_a_migrated_database_well(database: DatabaseUrls) -> None:
    findings = {finding.subject: finding for finding in examine()}

    assert {"database (app)", "database (system)", "schema", "redis"} <= set(findings)
    assert [
        subject for subject, finding in findings.items() if not finding.ok and "port" not in subject
    ] == []
