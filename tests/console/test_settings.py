"""The console's settings: what production must be given, and keys that both sides derive alike."""

import base64
from collections.abc import Iterator

import pytest

from console.settings import ConsoleSettings, ConsoleSettingsError, console_settings
from console.views.import_wizard import ImportWizard
from engine.contacts.imports.service import MAX_BYTES
from tests.console.console_setup import make_tab

KEY = base64.b64encode(bytes(range(32))).decode()
PRODUCTION = {
    "MASTERIA_ENVIRONMENT": "production",
    "MASTERIA_REDIS_URL": "redis://:q9w8e7@valkey:6379/0",
    "MASTERIA_CONSOLE_KEY": KEY,
    "MASTERIA_CONSOLE_URL": "https://console.example/",
}


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A production environment with which a start is allowed."""
    for name, value in PRODUCTION.items():
        monkeypatch.setenv(name, value)
    console_settings.cache_clear()
    yield monkeypatch
    console_settings.cache_clear()


def test_production_starts_with_everything_set(production: pytest.MonkeyPatch) -> None:
    given = console_settings()

    assert (given.console_url, given.console_host) == ("https://console.example", "console.example")


@pytest.mark.parametrize("value", ["", "console.example", "ftp://console.example", "https://"])
def test_production_does_not_start_without_the_address_of_browsers(
    production: pytest.MonkeyPatch, value: str
) -> None:
    production.setenv("MASTERIA_CONSOLE_URL", value)

    with pytest.raises(ConsoleSettingsError, match="MASTERIA_CONSOLE_URL"):
        console_settings()


def test_what_is_secure_follows_the_address_of_browsers_and_else_the_request() -> None:
    behind_tls, plain = ConsoleSettings(console_url="https://console.example"), ConsoleSettings()

    assert [behind_tls.is_secure(scheme) for scheme in ("http", "ws")] == [True, True]
    assert [plain.is_secure(scheme) for scheme in ("http", "ws", "https", "wss")] == [
        False,
        False,
        True,
        True,
    ]


def test_one_figure_limits_a_file_in_the_wizard_in_the_console_and_in_the_api() -> None:
    wizard = ImportWizard(make_tab())

    [field] = wizard.file.fields

    assert field["upload"]["max_bytes"] == ConsoleSettings().upload_limit == MAX_BYTES
