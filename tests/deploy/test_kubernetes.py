"""deploy/kubernetes, as far as it can be proved without a cluster."""

import json
import re
import shutil
import subprocess
from functools import cache
from itertools import starmap
from typing import Any

import jsonschema_rs
import kubernetes_validate
import pytest
import yaml
from typer.main import get_command

from console.routes import probes
from console.settings import ConsoleSettings
from engine.api.routes import health
from engine.cli.app import app
from engine.core.settings import Settings, production_faults, project_root
from tests.deploy.kustomize import FOLDER, Document, containers_of, documents_of, pod_of, rendered

ROOT = project_root()
OVERLAYS = ("example", "example-keda", "example-hpa")
OLDEST, NEWEST = "1.30", "1.37"
SCHEMAS = ROOT / "tests" / "deploy" / "schemas"  # of our own hand: only the fields that we use
WORKLOADS = ("Deployment", "StatefulSet", "Job")
PROCESSES = ("api", "beat", "console", "worker-audiences", "worker-events", "worker-jobs", "worker-send")
POOL_SETTING = "MASTERIA_DATABASE_POOLED"
LEADS_NOWHERE = "nobody"  # a Service that is meant to have no pods


@cache
def overlay(name: str) -> tuple[Document, ...]:
    return tuple(rendered(FOLDER / "overlays" / name))


def secrets() -> list[Document]:
    return documents_of(FOLDER / "secrets.example.yaml")


def of_kind(*kinds: str, among: str = "example") -> list[Document]:
    return [document for document in overlay(among) if document["kind"] in kinds]


def named(kind: str, name: str, among: str = "example") -> Document:
    return next(d for d in of_kind(kind, among=among) if d["metadata"]["name"] == name)


def workload(name: str) -> Document:
    return next(d for d in of_kind(*WORKLOADS) if d["metadata"]["name"] == name)


def pods() -> list[Document]:
    return [pod for pod in map(pod_of, of_kind(*WORKLOADS)) if pod]


def our_containers() -> list[Document]:
    """Containers of our image, wherever they run."""
    return [
        container
        for document in of_kind(*WORKLOADS)
        for container in containers_of(document)
        if container["image"].startswith("registry.example.com/masteria:")
    ]


def labels_match(selector: Document, labels: Document) -> bool:
    wanted = selector.get("matchLabels", {}).items()
    expressions = selector.get("matchExpressions", ())
    assert all(expression["operator"] == "In" for expression in expressions)
    return wanted <= labels.items() and all(labels.get(e["key"]) in e["values"] for e in expressions)


def pods_of(selector: Document) -> list[Document]:
    return [pod for pod in pods() if labels_match(selector, pod["metadata"]["labels"])]


def all_documents() -> list[Document]:
    """Every document of every overlay, each once, and the Secrets."""
    found = {json.dumps(d, sort_keys=True): d for name in OVERLAYS for d in overlay(name)}
    return [*found.values(), *secrets()]


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


@pytest.mark.parametrize("kind", ["ScaledObject", "ServiceMonitor", "PrometheusRule"])
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
    assert ours - compose == {"pgbouncer"}


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

    assert names - known - {"POD_NAME", POOL_SETTING} == set()


SECRET_VALUES = {
    "MASTERIA_DATABASE_URL": "postgresql://masteria_app:3f9a@pgbouncer:6432/masteria",
    "MASTERIA_DATABASE_SYSTEM_URL": "postgresql://masteria_system:7c1d@pgbouncer:6432/masteria",
    "MASTERIA_DATABASE_OWNER_URL": "postgresql://masteria_owner:0b2e@postgresql.example.com:5432/masteria",
    "MASTERIA_REDIS_URL": "redis://:5d8f@valkey.example.com:6379/0",
    "MASTERIA_MASTER_KEY": "q83vEjRWeJq83vEjRWeJASNFZ4mrze8BI0VniavN7wE=",
    "MASTERIA_SIGNING_KEY": "ASNFZ4mrze8BI0VniavN74mrze8BI0VniavN7wEjRWc=",
    "MASTERIA_CONSOLE_KEY": "Z4mrze8BI0VniavN74mrze8BI0VniavN7wEjRWeJAQI=",
}


@pytest.mark.parametrize("name", sorted({*PROCESSES, "migrate"} - {"console"}))
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
    work = {*PROCESSES, "migrate"} - {"console"}

    assert holders == {
        "masteria-database": work,
        "masteria-keys": work,
        "masteria-redis": {*work, "console"},
        "masteria-owner": {"migrate"},
        "masteria-console": {"api", "console"},
    }


def test_no_secret_has_a_value() -> None:
    values = [value for secret in secrets() for value in secret["stringData"].values()]

    assert set(values) == {""}


def test_every_probe_asks_where_somebody_answers() -> None:
    routes = {
        "api": {route.path for route in health.router.routes},  # type: ignore[attr-defined]
        "console": {route.path for route in probes.router.routes},  # type: ignore[attr-defined]
    }
    asked = 0

    for document in of_kind(*WORKLOADS):
        for container in containers_of(document):
            ports = {port["name"] for port in container.get("ports", ())}
            for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
                probe = container.get(kind, {})
                if http := probe.get("httpGet"):
                    assert http["path"] in routes[container["name"]]
                where = probe.get("httpGet") or probe.get("tcpSocket")
                if where:
                    asked += 1
                    assert where["port"] in ports

    assert asked == 9


@pytest.mark.parametrize("name", ["api", "console"])
def test_a_door_is_ready_once_and_then_as_long_as_it_lives(name: str) -> None:
    # By /readyz every api would leave its Service while the database is away, and no spool would get a webhook.
    container = containers_of(workload(name))[0]
    port = container["ports"][0]["containerPort"]

    paths = [
        container[kind]["httpGet"]["path"] for kind in ("startupProbe", "readinessProbe", "livenessProbe")
    ]

    assert paths == ["/readyz", "/healthz", "/healthz"]
    assert str(port) in container["command"]


def test_no_probe_needs_redis_or_the_database_once_a_process_runs() -> None:
    for document in of_kind(*WORKLOADS):
        for container in containers_of(document):
            asked = json.dumps([container.get("livenessProbe"), container.get("readinessProbe")])
            assert "celery" not in asked
            assert "readyz" not in asked


def test_every_selector_finds_a_pod() -> None:
    lost = []
    for document in overlay("example"):
        spec, kind, name = document.get("spec", {}), document["kind"], document["metadata"]["name"]
        if kind == "Service" and name != LEADS_NOWHERE:
            found = pods_of({"matchLabels": spec["selector"]})
            served = {
                port["name"]
                for pod in found
                for c in pod["spec"]["containers"]
                for port in c.get("ports", ())
            }
            lost += [name for port in spec.get("ports", ()) if port["targetPort"] not in served]
        elif kind in {*WORKLOADS, "PodDisruptionBudget"} and "selector" in spec:
            found = pods_of(spec["selector"])
        elif kind == "NetworkPolicy":
            found = pods_of(spec["podSelector"])
        else:
            continue
        if not found:
            lost.append(f"{kind} {name}")

    assert lost == []


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_a_workload_has_its_pods_for_itself(kind: str) -> None:
    for document in of_kind(kind):
        assert pods_of(document["spec"]["selector"]) == [pod_of(document)]
        for spread in document["spec"]["template"]["spec"].get("topologySpreadConstraints", ()):
            assert pods_of(spread["labelSelector"]) == [pod_of(document)]


def test_a_stateful_set_has_its_service() -> None:
    for document in of_kind("StatefulSet"):
        service = named("Service", document["spec"]["serviceName"])
        assert service["spec"]["clusterIP"] == "None"
        assert service["spec"]["selector"] == document["spec"]["selector"]["matchLabels"]


def test_everything_that_is_referred_to_exists() -> None:
    there = {(d["kind"], d["metadata"]["name"]) for d in (*overlay("example"), *secrets())}
    wanted = {("ServiceAccount", pod["spec"]["serviceAccountName"]) for pod in pods()}
    for document in of_kind(*WORKLOADS):
        spec = document["spec"]["template"]["spec"]
        for volume in spec["volumes"]:
            wanted |= set(_sources(volume))
        claims = {claim["metadata"]["name"] for claim in document["spec"].get("volumeClaimTemplates", ())}
        volumes = {volume["name"] for volume in spec["volumes"]} | claims
        for container in containers_of(document):
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
            for source in container.get("envFrom", ()):
                wanted |= set(starmap(_reference, source.items()))
    for ingress in of_kind("Ingress"):
        for path in (path for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]):
            wanted.add(("Service", path["backend"]["service"]["name"]))

    assert wanted - there == set()


def _sources(volume: Document) -> list[tuple[str, str]]:
    projected = volume.get("projected", {}).get("sources", [])
    found = [("ConfigMap", source["configMap"]["name"]) for source in projected]
    if "secret" in volume:
        found.append(("Secret", volume["secret"]["secretName"]))
    if "persistentVolumeClaim" in volume:
        found.append(("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]))
    return found


def _reference(kind: str, source: Document) -> tuple[str, str]:
    return ({"configMapRef": "ConfigMap", "secretRef": "Secret"}[kind], source["name"])


@pytest.mark.parametrize("name", [*PROCESSES, "migrate", "pgbouncer"])
def test_a_pod_may_do_no_more_than_it_needs(name: str) -> None:
    document = workload(name)
    spec = document["spec"]["template"]["spec"]

    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False  # MASTERIA_API_PORT is a setting of ours
    assert spec["terminationGracePeriodSeconds"] >= 30
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers_of(document):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("name", PROCESSES)
def test_what_a_process_writes_has_a_place(name: str) -> None:
    document = workload(name)
    container = containers_of(document)[-1]
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    claims = {
        volume["name"]: volume["persistentVolumeClaim"]["claimName"]
        for volume in document["spec"]["template"]["spec"]["volumes"]
        if "persistentVolumeClaim" in volume
    }
    claims |= {
        claim["metadata"]["name"]: "one of its own"
        for claim in document["spec"].get("volumeClaimTemplates", ())
    }
    kept = {path: claims[volume] for path, volume in mounts.items() if volume in claims}

    assert {"/data", "/tmp"} <= set(mounts)
    assert kept == {
        "api": {"/data/spool": "one of its own", "/data/media": "media"},
        "worker-jobs": {"/data/media": "media"},
        "worker-events": {"/data/ledger": "ledger"},
    }.get(name, {})


def test_each_worker_has_a_folder_of_the_ledger_for_itself() -> None:
    container = containers_of(workload("worker-events"))[-1]

    environment = {given["name"]: given for given in container["env"]}

    assert environment["MASTERIA_LEDGER_DIR"]["value"] == "/data/ledger/$(POD_NAME)"
    assert environment["POD_NAME"]["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert [given["name"] for given in container["env"]] == ["POD_NAME", "MASTERIA_LEDGER_DIR"]


@pytest.mark.parametrize("name", sorted(set(PROCESSES) - {"beat"}))
def test_a_machine_can_be_emptied_without_stopping_a_process_altogether(name: str) -> None:
    budgets = [
        budget["spec"]["maxUnavailable"]
        for budget in of_kind("PodDisruptionBudget")
        if labels_match(budget["spec"]["selector"], workload(name)["spec"]["template"]["metadata"]["labels"])
    ]

    assert budgets == [1]
    assert workload(name)["spec"]["replicas"] > 1


def test_beat_is_alone() -> None:
    spec = workload("beat")["spec"]

    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_a_browser_comes_back_to_its_console() -> None:
    service = named("Service", "console")

    assert service["spec"]["sessionAffinity"] == "ClientIP"
    assert service["metadata"]["annotations"]["traefik.ingress.kubernetes.io/service.sticky.cookie"] == "true"


def test_nothing_is_open_that_no_policy_opens() -> None:
    closed = named("NetworkPolicy", "nothing-else")["spec"]
    to_servers = pods_of(named("NetworkPolicy", "servers")["spec"]["podSelector"])

    assert closed == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert {pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in to_servers} == {
        document["metadata"]["name"]
        for document in of_kind(*WORKLOADS)
        if any(
            {"secretRef": {"name": "masteria-database"}} in c.get("envFrom", ())
            for c in containers_of(document)
        )
    }


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
