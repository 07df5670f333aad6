"""docker-compose.yml, as far as it can be proved without an engine."""

import json
import re
from functools import cache
from typing import Any

import jsonschema_rs
import pytest
import yaml

from console.middleware import is_same_origin
from console.settings import console_settings
from engine.cli.programs import doors, work
from engine.core.settings import Settings, production_faults, project_root

ROOT = project_root()
SCHEMA = ROOT / "tests" / "fixtures" / "compose" / "compose-spec.json"  # compose-spec, Apache-2.0
SERVERS = {"postgres", "valkey"}
ONE_SHOT = {"bootstrap", "migrate"}
GIVEN = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")


@cache
def compose() -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert isinstance(loaded, dict)
    return loaded


def services() -> dict[str, Any]:
    return dict(compose()["services"])


def filled(text: str) -> str:
    """A value as Compose would give it, every secret drawn as example.env tells."""

    def value(match: re.Match[str]) -> str:
        if match["kind"] == "-":
            return match["rest"]
        if match["name"].endswith("_KEY"):
            return {"MASTERIA_MASTER_KEY": KEYS[0], "MASTERIA_SIGNING_KEY": KEYS[1]}.get(
                match["name"], KEYS[2]
            )
        return "https://api.example" if match["name"].endswith("_URL") else f"{match['name'].lower()}0f3a9c"

    return GIVEN.sub(value, text)


KEYS = (
    "q83vEjRWeJq83vEjRWeJASNFZ4mrze8BI0VniavN7wE=",
    "ASNFZ4mrze8BI0VniavN74mrze8BI0VniavN7wEjRWc=",
    "Z4mrze8BI0VniavN74mrze8BI0VniavN7wEjRWeJAQI=",
)


def test_it_is_a_compose_file_by_the_specification() -> None:
    schema = json.loads(SCHEMA.read_text())

    errors = [error.message for error in jsonschema_rs.validator_for(schema).iter_errors(compose())]

    assert errors == []


def test_it_runs_the_processes_of_make_up() -> None:
    given = Settings()

    programs = {program.name for program in (*doors(given), *work(given))}

    assert set(services()) == programs | SERVERS | ONE_SHOT


@pytest.mark.parametrize("name", sorted(set(services()) - SERVERS - ONE_SHOT))
def test_a_process_has_the_command_of_make_up(name: str) -> None:
    given = Settings()
    program = next(program for program in (*doors(given), *work(given)) if program.name == name)
    local = set(program.command[2:])  # without "python -m"

    command = services()[name]["command"]

    assert command[:2] == [word for word in program.command if word in command[:2]]
    told = {filled(word) for word in command}
    assert {word for word in told if ":" in word or word.startswith(("engine.", "--forwarded"))} <= local
    if "-Q" in command:
        assert command[command.index("-Q") + 1] == program.command[program.command.index("-Q") + 1]


@pytest.mark.parametrize("name", sorted(set(services()) - ONE_SHOT))
def test_a_process_that_stays_says_whether_it_is_well(name: str) -> None:
    assert services()[name]["healthcheck"]["test"]


@pytest.mark.parametrize("name", sorted(set(services()) - ONE_SHOT))
def test_a_process_can_be_scaled(name: str) -> None:
    service = services()[name]

    assert "container_name" not in service
    assert all("${" in port for port in service.get("ports", [])), "a fixed port allows one copy only"


def test_every_dependency_waits_for_what_it_needs() -> None:
    waits = [
        (name, needed, how["condition"])
        for name, service in services().items()
        for needed, how in service.get("depends_on", {}).items()
    ]

    wrong = [
        wait
        for wait in waits
        if wait[2] != ("service_completed_successfully" if wait[1] in ONE_SHOT else "service_healthy")
    ]

    assert waits
    assert wrong == []


def test_no_secret_has_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()

    optional = [
        match["name"]
        for match in GIVEN.finditer(text)
        if match["name"].endswith(("_PASSWORD", "_KEY")) and match["kind"] != "?"
    ]

    assert optional == []


def test_everything_that_must_be_set_is_in_the_example() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    required = {match["name"] for match in GIVEN.finditer(text) if match["kind"] == "?"}

    example = set(re.findall(r"^(\w+)=$", (ROOT / "example.env").read_text(), re.M))

    assert example == required


@pytest.mark.parametrize("name", ["api", "worker-send", "migrate"])
def test_production_accepts_what_it_is_given(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, text in services()[name]["environment"].items():
        monkeypatch.setenv(variable, filled(str(text)))

    given = Settings()

    assert production_faults(given) == []


def test_a_form_sent_from_the_consoles_address_passes_its_check_of_origin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable, text in services()["console"]["environment"].items():
        monkeypatch.setenv(variable, filled(str(text)))
    console_settings.cache_clear()
    given = console_settings()
    console_settings.cache_clear()
    # As it comes from a proxy that ended TLS.
    proxied = {"scheme": "http", "headers": [(b"host", b"console"), (b"origin", given.console_url.encode())]}
    strange = {"scheme": "http", "headers": [(b"host", b"console"), (b"origin", b"https://evil.example")]}

    answers = [is_same_origin(scope, given.console_url) for scope in (proxied, strange)]

    assert answers == [True, False]
    assert given.is_secure("http")


def test_only_who_migrates_holds_the_owners_password() -> None:
    holders = {
        name for name, service in services().items() if "MASTERIA_OWNER_PASSWORD" in json.dumps(service)
    }

    assert holders == ONE_SHOT


def test_images_name_a_version() -> None:
    images = [service["image"] for service in services().values()]
    images += re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.M)

    assert [image for image in images if ":" not in image or image.endswith(":latest")] == []
