"""deploy/kubernetes as documents: Kubernetes takes them, and they run what the product has."""

import json
import re
import shutil
import subprocess
from typing import Any

import jsonschema_rs
import kubernetes_validate
import pytest
import yaml
from typer.main import get_command

from console.settings import ConsoleSettings
from engine.cli.app import app
from engine.core.settings import COUNTS_VARIABLE, Settings, production_faults, project_root
from tests.deploy.cluster import (
    OVERLAYS,
    POOL_SETTING,
    PROCESSES,
    WORKLOADS,
    all_documents,
    named,
    of_kind,
    our_containers,
    overlay,
    secrets,
    workload,
)
from tests.deploy.kustomize import FOLDER, Document, containers_of

ROOT = project_root()
OLDEST, NEWEST = "1.30", "1.37"
SCHEMAS = ROOT / "tests" / "deploy" / "schemas"  # of our own hand: only the fields that we use


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_every_document_is_what_kubernetes_takes(version: str) -> None:
    own = {path.stem for path in SCHEMAS.iterdir()}
    wrong = []

    for document in all_documents():
        if document["kind"].lower() in own:
            continue
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            wrong.append(f"{document['kind']} {document['metadata']['name']}: {error.message}")

    assert wrong == []


@pytest.mark.parametrize("kind", ["ScaledObject", "ServiceMonitor", "PodMonitor", "PrometheusRule"])
def test_every_document_of_an_operator_has_only_fields_that_it_knows(kind: str) -> None:
    validator = jsonschema_rs.validator_for(json.loads((SCHEMAS / f"{kind.lower()}.json").read_text()))
    documents = [document for document in all_documents() if document["kind"] == kind]

    errors = [error.message for document in documents for error in validator.iter_errors(document)]

    assert documents
    assert errors == []


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kustomize is not on this machine")
@pytest.mark.parametrize("name", OVERLAYS)
def test_it_is_rendered_as_kubectl_renders_it(name: str) -> None:
    def plain(value: Any) -> Any:
        """Without what kustomize adds by itself: the namespace, and the hashes of ConfigMaps in names."""
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items() if key != "namespace"}
        if isinstance(value, list):
            return [plain(item) for item in value]
        return HASHED.sub(r"\1", value) if isinstance(value, str) else value

    folder = FOLDER / "overlays" / name
    told = subprocess.run(
        ("kubectl", "kustomize", str(folder)), check=True, capture_output=True, text=True
    ).stdout

    theirs = sorted(json.dumps(plain(d), sort_keys=True) for d in yaml.safe_load_all(told))
    ours = sorted(json.dumps(plain(d), sort_keys=True) for d in overlay(name))

    assert ours == theirs


HASHED = re.compile(r"^(masteria-settings|pgbouncer|pgbouncer-databases)-[0-9a-z]{10}$")


def test_every_file_is_part_of_something() -> None:
    used = {FOLDER / "secrets.example.yaml"}
    for path in FOLDER.rglob("kustomization.yaml"):
        given = yaml.safe_load(path.read_text())
        files = [f for generator in given.get("configMapGenerator", ()) for f in generator.get("files", ())]
        used |= {path, *(path.parent / name for name in (*given.get("resources", ()), *files))}

    assert {path for path in FOLDER.rglob("*") if path.is_file()} - used == set()


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_has_the_command_of_the_compose_file(name: str) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"][name]

    command = containers_of(workload(name))[-1]["command"]

    assert command == [
        word.replace("${MASTERIA_TRUSTED_PROXIES:-127.0.0.1}", "$(MASTERIA_TRUSTED_PROXIES)")
        for word in compose["command"]
    ]


def test_every_process_that_the_compose_file_has_is_there() -> None:
    compose = set(yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"])

    ours = {document["metadata"]["name"] for document in of_kind(*WORKLOADS)}

    # PostgreSQL and Valkey are the operator's own, as is what a superuser does; sandbox numbers are left out.
    assert compose - ours == {"postgres", "valkey", "bootstrap", "simulator"}
    assert ours - compose == {"pgbouncer", "restore"}


def test_what_is_asked_of_masteria_is_a_command_that_it_has() -> None:
    asked = [c["command"][1:] for c in our_containers() if c["command"][0] == "masteria"]
    commands = get_command(app).commands  # type: ignore[attr-defined]

    parsed = [commands[name].make_context(name, list(rest)).info_name for name, *rest in asked]

    assert set(parsed) == {"migrate", "await-schema"}


def environment_of(container: Document) -> dict[str, str]:
    """What a container finds in its environment; a secret's value is its name."""
    found: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        if "configMapRef" in source:
            found |= named("ConfigMap", source["configMapRef"]["name"])["data"]
        else:
            secret = next(s for s in secrets() if s["metadata"]["name"] == source["secretRef"]["name"])
            found |= dict.fromkeys(secret["stringData"], "")
    return found | {given["name"]: given.get("value", "") for given in container.get("env", ())}


def test_every_setting_is_one_that_a_process_reads() -> None:
    fields = {*Settings.model_fields, *ConsoleSettings.model_fields}
    known = {f"MASTERIA_{field.upper()}" for field in fields}

    names = {name for container in our_containers() for name in environment_of(container)}

    assert names - known - {"POD_NAME", "LEDGERS", COUNTS_VARIABLE} == set()


SECRET_VALUES = {
    "MASTERIA_DATABASE_URL": "postgresql://masteria_app:3f9a@pgbouncer:6432/masteria",
    "MASTERIA_DATABASE_SYSTEM_URL": "postgresql://masteria_system:7c1d@pgbouncer:6432/masteria",
    "MASTERIA_DATABASE_OWNER_URL": "postgresql://masteria_owner:0b2e@postgresql.example.com:5432/masteria",
    "MASTERIA_REDIS_URL": "redis://:5d8f@valkey.example.com:6379/0",
    "MASTERIA_MASTER_KEY": "q83vEjRWeJq83vEjRWeJASNFZ4mrze8BI0VniavN7wE=",
    "MASTERIA_SIGNING_KEY": "ASNFZ4mrze8BI0VniavN74mrze8BI0VniavN7wEjRWc=",
    "MASTERIA_CONSOLE_KEY": "Z4mrze8BI0VniavN74mrze8BI0VniavN7wEjRWeJAQI=",
}


@pytest.mark.parametrize("name", sorted({*PROCESSES, "migrate", "restore"} - {"console"}))
def test_production_accepts_what_a_process_is_given(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for container in containers_of(workload(name)):
        for variable, value in environment_of(container).items():
            monkeypatch.setenv(variable, SECRET_VALUES.get(variable, value))

    assert production_faults(Settings()) == []


def test_the_console_accepts_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in environment_of(containers_of(workload("console"))[0]).items():
        monkeypatch.setenv(variable, SECRET_VALUES.get(variable, value))
    given = ConsoleSettings()

    assert given.is_production
    assert given.is_https
    assert len(given.key_for("sign-ins")) == 32


def test_a_secret_goes_only_to_who_needs_it() -> None:
    holders: dict[str, set[str]] = {}
    for document in of_kind(*WORKLOADS):
        for container in containers_of(document):
            for source in container.get("envFrom", ()):
                if "secretRef" in source:
                    holders.setdefault(source["secretRef"]["name"], set()).add(document["metadata"]["name"])
    work = {*PROCESSES, "migrate", "restore"} - {"console"}

    assert holders == {
        "masteria-database": work,
        "masteria-keys": work,
        "masteria-redis": {*work, "console"},
        "masteria-owner": {"migrate"},
        "masteria-straight": {"restore"},
        "masteria-console": {"api", "console"},
    }


def test_no_secret_has_a_value() -> None:
    values = [value for secret in secrets() for value in secret["stringData"].values()]

    assert set(values) == {""}


def test_who_comes_through_the_pooler_knows_it() -> None:
    pooler = containers_of(workload("pgbouncer"))[0]
    mounts = {mount["mountPath"] for mount in pooler["volumeMounts"]}
    ini = named("ConfigMap", "pgbouncer")["data"]["pgbouncer.ini"]

    assert named("ConfigMap", "masteria-settings")["data"][POOL_SETTING] == "1"
    assert {f"/etc/{place}" for place in ("pgbouncer", "pgbouncer-users")} == mounts
    assert "\nauth_file = /etc/pgbouncer-users/userlist.txt\n" in ini
    assert "%include /etc/pgbouncer/databases.ini\n" in ini
    assert named("ConfigMap", "pgbouncer-databases")["data"]["databases.ini"].startswith(
        "[databases]\nmasteria = "
    )


def test_secrets_that_were_filled_in_are_not_taken_by_git() -> None:
    filled_in = ("deploy/kubernetes/secrets.yaml", "deploy/kubernetes/overlays/ours/secrets.yaml")

    told = subprocess.run(
        ("git", "check-ignore", *filled_in), cwd=ROOT, check=False, capture_output=True, text=True
    ).stdout

    assert told.split() == list(filled_in)


def test_what_the_documents_tell_to_type_names_what_there_is() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    told = text[text.index("### On Kubernetes") : text.index("## By the hour")]
    there = {f"{d['kind'].lower()}/{d['metadata']['name']}" for d in overlay("example")}

    objects = set(re.findall(r"\b((?:cronjob|deployment|job|statefulset)/[a-z-]+)", told)) - {
        "job/restore-now"
    }
    files = set(
        re.findall(r"\bdeploy/kubernetes[a-z./-]*", told.replace("overlays/ours", "overlays/example"))
    )
    asked = re.findall(r"-- masteria ([a-z]+) ([a-z]+)", told)

    assert objects
    assert objects - there == set()
    assert {name for name in files if not (ROOT / name).exists()} == {"deploy/kubernetes/secrets.yaml"}
    assert asked == [("company", "create"), ("user", "create")]
    groups = {name: get_command(app).commands[name] for name, _ in asked}  # type: ignore[attr-defined]
    assert all(verb in groups[name].commands for name, verb in asked)
