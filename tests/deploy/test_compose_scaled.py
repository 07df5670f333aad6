"""docker-compose.scaled.yml over docker-compose.yml, as far as it can be proved without an engine."""

import json
import re
from typing import Any

import jsonschema_rs
import pytest

from console.settings import ConsoleSettings
from engine.core.settings import Settings, production_faults, project_root
from tests.deploy.compose import merged, read, untagged

ROOT = project_root()
SCHEMA = ROOT / "tests" / "fixtures" / "compose" / "compose-spec.json"
BASE = read(ROOT / "docker-compose.yml")
OVERRIDE = read(ROOT / "docker-compose.scaled.yml")
BOTH = merged(BASE, OVERRIDE)
OWN = {"pgbouncer", "balancer"}
SCALED = ("api", "console", "worker-send", "worker-events", "worker-audiences", "worker-jobs")
POOLED = ("api", "beat", "worker-send", "worker-events", "worker-audiences", "worker-jobs")
STRAIGHT = ("bootstrap", "migrate")
DATABASE = ("MASTERIA_DATABASE_URL", "MASTERIA_DATABASE_SYSTEM_URL")
POOL_SETTING = "MASTERIA_DATABASE_POOLED"
GIVEN = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")
SECONDS = re.compile(r"(?:(\d+)m)?(?:(\d+)s)?")


def services() -> dict[str, Any]:
    return dict(BOTH["services"])


def filled(text: str) -> str:
    """A value as Compose would give it."""

    def value(match: re.Match[str]) -> str:
        if match["kind"] == "-":
            return match["rest"]
        if match["name"] == "MASTERIA_MASTER_KEY":
            return "q83vEjRWeJq83vEjRWeJASNFZ4mrze8BI0VniavN7wE="
        if match["name"].endswith("_KEY"):
            return "ASNFZ4mrze8BI0VniavN74mrze8BI0VniavN7wEjRWc="
        if match["name"].endswith("_URL"):
            return "https://masteria.example.com"
        return f"{match['name'].lower()}0f3a9c"

    return GIVEN.sub(value, text)


def seconds(span: str) -> int:
    found = SECONDS.fullmatch(span)
    assert found is not None, span
    return int(found[1] or 0) * 60 + int(found[2] or 0)


@pytest.mark.parametrize("given", [OVERRIDE, BOTH], ids=["override", "merged"])
def test_it_is_a_compose_file_by_the_specification(given: dict[str, Any]) -> None:
    schema = json.loads(SCHEMA.read_text())

    errors = [error.message for error in jsonschema_rs.validator_for(schema).iter_errors(untagged(given))]

    assert errors == []


def test_a_service_is_one_of_the_base_or_whole_by_itself() -> None:
    new = set(OVERRIDE["services"]) - set(BASE["services"])

    assert new == OWN
    assert all({"image", "healthcheck", "restart", "logging"} <= set(services()[name]) for name in new)


@pytest.mark.parametrize("name", sorted(BASE["services"]))
def test_a_process_of_the_base_stays_what_it_is(name: str) -> None:
    for part in ("image", "build", "command", "entrypoint", "volumes", "healthcheck"):
        assert services()[name].get(part) == BASE["services"][name].get(part), part


# Valkey has nothing to end: each write is in its file within a second.
@pytest.mark.parametrize("name", sorted(set(BOTH["services"]) - {"valkey"}))
def test_a_process_gets_fifteen_seconds_to_end(name: str) -> None:
    assert seconds(services()[name]["stop_grace_period"]) >= 15


@pytest.mark.parametrize("name", SCALED)
def test_there_are_several_copies(name: str) -> None:
    assert services()[name]["deploy"]["replicas"] > 1
    assert "ports" not in services()[name], "a port of the machine goes to one copy only"


@pytest.mark.parametrize("name", sorted({*SCALED, *OWN, "beat"}))
def test_a_copy_can_take_only_its_share_of_the_machine(name: str) -> None:
    assert set(services()[name]["deploy"]["resources"]["limits"]) == {"cpus", "memory"}


def test_every_setting_is_one_that_a_process_reads() -> None:
    names = {
        name
        for service in services().values()
        for name in service.get("environment", {})
        if name.startswith("MASTERIA_")
    }
    fields = {*Settings.model_fields, *ConsoleSettings.model_fields}

    unknown = names - {f"MASTERIA_{field.upper()}" for field in fields}

    assert unknown == {"MASTERIA_SUPERUSER_URL"}


@pytest.mark.parametrize("name", POOLED)
def test_who_works_comes_through_the_pooler_and_knows_it(name: str) -> None:
    environment = services()[name]["environment"]

    assert [address for address in DATABASE if "@pgbouncer:6432/" not in environment[address]] == []
    assert environment[POOL_SETTING] == "1"
    assert services()[name]["depends_on"]["pgbouncer"] == {"condition": "service_healthy"}


@pytest.mark.parametrize("name", STRAIGHT)
def test_who_migrates_goes_straight(name: str) -> None:
    environment = services()[name]["environment"]

    addresses = [value for variable, value in environment.items() if variable.startswith("MASTERIA_DATABASE")]

    assert len(addresses) == 3
    assert all("@postgres:5432/" in address for address in addresses)


@pytest.mark.parametrize("name", POOLED)
def test_production_accepts_what_it_is_given(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, text in services()[name]["environment"].items():
        monkeypatch.setenv(variable, filled(str(text)))

    assert production_faults(Settings()) == []


def test_the_pooler_lends_for_a_transaction_and_fits_into_postgresql() -> None:
    ini = _lines_of(ROOT / "deploy/kubernetes/components/pgbouncer/pgbouncer.ini")
    most = int(re.findall(r"max_connections=(\d+)", BASE["services"]["postgres"]["command"])[0])

    assert ini["pool_mode"] == "transaction"
    assert 2 * int(ini["default_pool_size"]) < most / 2  # two roles; the rest is for who goes straight
    assert ini["listen_port"] == "6432"
    assert ini["auth_file"] in services()["pgbouncer"]["command"][0]
    assert BOTH["configs"]["pgbouncer-databases"]["content"].startswith(
        "[databases]\nmasteria = host=postgres "
    )


def test_files_that_are_mounted_exist() -> None:
    files = [config["file"] for config in BOTH["configs"].values() if "file" in config]
    sources = {config["source"] for service in services().values() for config in service.get("configs", ())}

    assert [name for name in files if not (ROOT / name).is_file()] == []
    assert sources == set(BOTH["configs"])


@pytest.mark.parametrize("name", ["api", "console"])
def test_the_balancer_finds_the_copies_and_asks_whether_they_live(name: str) -> None:
    config = (ROOT / "deploy/compose/haproxy.cfg").read_text()
    port = re.findall(r'"--port", "(\d+)"', json.dumps(BASE["services"][name]["command"]))[0]
    backend = re.split(r"\n(?=\w)", config[config.index(f"\nbackend {name}\n") + 1 :])[0]

    assert f"{name}:{port} check" in backend
    assert "GET uri /healthz" in backend
    assert f"frontend {name}\n    bind :{port}\n    default_backend {name}\n" in config
    assert any(mapped.endswith(f":{port}") for mapped in services()["balancer"]["ports"])
    places = re.findall(r"server-template \w+ (\d+)", backend)
    assert int(places[0]) >= 2 * services()[name]["deploy"]["replicas"], "room to scale by hand"


def test_a_browser_comes_back_to_its_console() -> None:
    config = (ROOT / "deploy/compose/haproxy.cfg").read_text()

    assert re.search(r"\n    cookie \S+ insert .*\bdynamic\b", config)
    assert "\n    dynamic-cookie-key " in config


def test_the_network_that_is_trusted_is_the_one_of_the_file() -> None:
    text = (ROOT / "docker-compose.scaled.yml").read_text()

    subnet = BOTH["networks"]["default"]["ipam"]["config"][0]["subnet"]

    assert f"#   MASTERIA_TRUSTED_PROXIES={subnet}\n" in text
    assert services()["api"]["environment"]["MASTERIA_TRUSTED_PROXIES"].startswith(
        "${MASTERIA_TRUSTED_PROXIES:?"
    )


def test_a_tag_takes_away_and_a_list_of_words_is_replaced() -> None:
    base = {
        "ports": ["1:1"],
        "command": ["a", "b"],
        "environment": {"A": "1"},
        "dns": ["x"],
        "volumes": ["a:/x"],
    }
    tagged = read(ROOT / "docker-compose.scaled.yml")["services"]["api"]["ports"]

    both = merged(
        base,
        {"ports": tagged, "command": ["c"], "environment": {"B": "2"}, "dns": ["y"], "volumes": ["b:/x"]},
    )

    assert both == {
        "command": ["c"],
        "environment": {"A": "1", "B": "2"},
        "dns": ["x", "y"],
        "volumes": ["b:/x"],
    }


def _lines_of(path: Any) -> dict[str, str]:
    pairs = (line.partition("=") for line in path.read_text().splitlines() if not line.startswith((";", "%")))
    return {name.strip(): value.strip() for name, mark, value in pairs if mark}
