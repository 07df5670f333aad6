from pathlib import Path

import pytest

from engine.core.settings import (
    DATABASE_VARIABLES,
    Settings,
    SettingsError,
    load_or_make_secrets,
    new_key,
    read_env_file,
    read_settings,
    write_env_file,
)

PRODUCTION = {
    "MASTERIA_ENVIRONMENT": "production",
    "MASTERIA_DATABASE_URL": "postgresql://masteria_app:8sd7f6@db/masteria",
    "MASTERIA_DATABASE_SYSTEM_URL": "postgresql://masteria_system:k2j3h4@db/masteria",
    "MASTERIA_DATABASE_OWNER_URL": "postgresql://masteria_owner:m5n6b7@db/masteria",
    "MASTERIA_REDIS_URL": "redis://:q9w8e7@valkey:6379/0",
    "MASTERIA_PUBLIC_URL": "https://api.example/",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and an environment that names nothing else."""
    for name in (*DATABASE_VARIABLES, "MASTERIA_REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MASTERIA_ENVIRONMENT", "development")
    monkeypatch.setenv("MASTERIA_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def production(home: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A production environment with which a start is allowed."""
    secrets = {"MASTERIA_MASTER_KEY": new_key(), "MASTERIA_SIGNING_KEY": new_key()}
    for name, value in (PRODUCTION | secrets).items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_development_starts_with_nothing_set(home: Path) -> None:
    given = read_settings()

    assert len(given.master_key_bytes) == len(given.signing_key_bytes) == 32
    assert given.demo_password
    assert (home / "secrets.env").stat().st_mode & 0o777 == 0o600


def test_secrets_are_drawn_once(home: Path) -> None:
    first = read_settings()

    second = read_settings()

    assert (second.master_key, second.demo_password) == (first.master_key, first.demo_password)


def test_a_secret_that_is_missing_is_added_to_those_kept(home: Path) -> None:
    write_env_file(home / "secrets.env", {"MASTERIA_MASTER_KEY": new_key()})
    kept = read_env_file(home / "secrets.env")

    made = load_or_make_secrets(home)

    assert made["MASTERIA_MASTER_KEY"] == kept["MASTERIA_MASTER_KEY"]
    assert made == read_env_file(home / "secrets.env")
    assert len(made) == 3


def test_the_environment_wins_over_what_is_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_settings()
    monkeypatch.setenv("MASTERIA_DEMO_PASSWORD", "chosen-by-hand")

    assert read_settings().demo_password == "chosen-by-hand"


def test_addresses_of_the_embedded_servers_do_not_mix_with_given_ones(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_env_file(
        home / "run" / "database.env", dict.fromkeys(DATABASE_VARIABLES, "postgresql://a:b@embedded/m")
    )
    monkeypatch.setenv("MASTERIA_DATABASE_URL", "postgresql://a:b@server/m")

    with pytest.raises(SettingsError, match="Set MASTERIA_DATABASE_SYSTEM_URL too"):
        read_settings()


def test_addresses_follow_the_ports(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MASTERIA_PUBLIC_URL", raising=False)
    monkeypatch.setenv("MASTERIA_API_PORT", "9000")

    given = read_settings()

    assert given.api_url == given.public_url == "http://127.0.0.1:9000"
    assert given.spool_dir == home.resolve() / "spool"


def test_a_setting_that_does_not_fit_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTERIA_API_PORT", "no number")

    with pytest.raises(SettingsError, match="MASTERIA_API_PORT"):
        read_settings()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LOG_LEVEL", "loud", "choose one of DEBUG, INFO, WARNING, ERROR, CRITICAL."),
        ("ENVIRONMENT", "home", "choose one of development, test, production."),
        ("GRAPH_VERSION", "25", "it has the form of v25.0."),
        ("API_PORT", "x", "it is a whole number."),
        ("REDIS_URL", "foo", "it is an address as redis://:password@host:6379/0."),
        ("PUBLIC_URL", "foo", "it is an address as https://api.example.com."),
        ("METRICS_LISTEN", "foo", "it names an address and a port up to 65532, as in 127.0.0.1:9100."),
        (
            "METRICS_LISTEN",
            "127.0.0.1:65533",
            "it names an address and a port up to 65532, as in 127.0.0.1:9100.",
        ),
    ],
)
def test_what_does_not_fit_is_told_in_the_operators_words(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"MASTERIA_{name}", value)

    with pytest.raises(SettingsError) as refused:
        read_settings()

    assert str(refused.value) == f"MASTERIA_{name}: {said}"


def test_a_home_that_is_no_folder_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.mkdir(parents=True, exist_ok=True)
    (home / "file").write_text("")
    monkeypatch.setenv("MASTERIA_HOME", str(home / "file"))

    with pytest.raises(SettingsError, match=r"MASTERIA_HOME: .*file can't be used as a folder"):
        read_settings()


def test_no_secret_shows_in_a_printed_setting(home: Path) -> None:
    given = read_settings()

    assert given.master_key not in repr(given)
    assert given.demo_password not in str(given)


def test_production_starts_with_everything_set(production: pytest.MonkeyPatch, home: Path) -> None:
    given = read_settings()

    assert given.public_url == "https://api.example"
    assert not home.exists(), "production makes nothing by itself"


def test_production_serves_without_the_owners_address(production: pytest.MonkeyPatch) -> None:
    production.delenv("MASTERIA_DATABASE_OWNER_URL")

    assert read_settings().database_owner_url == ""


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MASTERIA_MASTER_KEY", "", "MASTERIA_MASTER_KEY is not set"),
        ("MASTERIA_MASTER_KEY", "c2hvcnQ=", "must be 32 bytes"),
        ("MASTERIA_SIGNING_KEY", "not base64", "must be 32 bytes"),
        ("MASTERIA_CONSOLE_KEY", "c2hvcnQ=", "must be 32 bytes"),
        ("MASTERIA_SIGNING_KEY", "A" * 43 + "=", "guessable"),
        ("MASTERIA_DEMO_PASSWORD", "abcd-efgh", "no demo company"),
        ("MASTERIA_REDIS_URL", "", "MASTERIA_REDIS_URL is not set"),
        ("MASTERIA_DATABASE_URL", "", "MASTERIA_DATABASE_URL is not set"),
        ("MASTERIA_DATABASE_URL", "postgresql://masteria_app:masteria@db/m", "default password"),
        ("MASTERIA_DATABASE_URL", "postgresql://masteria_app:masteria_app@db/m", "default password"),
        ("MASTERIA_DATABASE_SYSTEM_URL", PRODUCTION["MASTERIA_DATABASE_URL"], "a role of its own"),
        ("MASTERIA_REDIS_URL", "redis://:changeme@valkey/0", "default password"),
    ],
)
def test_production_does_not_start(production: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    production.setenv(name, value)

    with pytest.raises(SettingsError, match=said) as refusal:
        read_settings()

    assert not value or value not in str(refusal.value), "a sentence repeats no secret"


def test_one_key_does_not_serve_for_two(production: pytest.MonkeyPatch) -> None:
    key = new_key()
    production.setenv("MASTERIA_MASTER_KEY", key)
    production.setenv("MASTERIA_SIGNING_KEY", key)

    with pytest.raises(SettingsError, match="must differ"):
        read_settings()


def test_every_setting_is_in_the_readme() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()

    missing = [name for name in Settings.model_fields if f"MASTERIA_{name.upper()}" not in readme]

    assert missing == []
