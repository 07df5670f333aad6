"""The pods of deploy/kubernetes: who finds them, what is asked of them, what they may do, where they write."""

import json
import os
import subprocess
from itertools import starmap
from pathlib import Path

import pytest

from console.routes import probes
from engine.api.routes import health
from engine.core.settings import COUNTS_VARIABLE, Settings
from tests.deploy.cluster import (
    PROCESSES,
    WORKLOADS,
    labels_match,
    named,
    of_kind,
    overlay,
    pod_in,
    pods,
    pods_of,
    secrets,
    workload,
)
from tests.deploy.kustomize import Document, containers_of, pod_of

LEADS_NOWHERE = "nobody"  # a Service that is meant to have no pods


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
        for spread in pod_in(document)["spec"].get("topologySpreadConstraints", ()):
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
        spec = pod_in(document)["spec"]
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


@pytest.mark.parametrize("name", [*PROCESSES, "migrate", "restore", "pgbouncer"])
def test_a_pod_may_do_no_more_than_it_needs(name: str) -> None:
    document = workload(name)
    spec = pod_in(document)["spec"]

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
        for volume in pod_in(document)["spec"]["volumes"]
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


def test_disks_are_mounted_where_the_product_looks_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MASTERIA_SPOOL_DIR", "MASTERIA_MEDIA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MASTERIA_HOME", named("ConfigMap", "masteria-settings")["data"]["MASTERIA_HOME"])

    given = Settings()

    mounts = {
        mount["name"]: mount["mountPath"] for mount in containers_of(workload("api"))[0]["volumeMounts"]
    }
    assert (mounts["spool"], mounts["media"]) == (str(given.spool_dir), str(given.media_dir))


def test_each_worker_has_a_folder_of_the_ledger_for_itself() -> None:
    container = containers_of(workload("worker-events"))[-1]

    environment = {given["name"]: given for given in container["env"]}

    assert environment["MASTERIA_LEDGER_DIR"]["value"] == "/data/ledger/$(POD_NAME)"
    assert environment["POD_NAME"]["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert [given["name"] for given in container["env"]][:2] == ["POD_NAME", "MASTERIA_LEDGER_DIR"]


@pytest.mark.parametrize("name", [process for process in PROCESSES if process.startswith("worker-")])
def test_prometheus_finds_what_a_worker_counts(name: str) -> None:
    pod, container = pod_in(workload(name)), containers_of(workload(name))[-1]
    environment = {given["name"]: given.get("value") for given in container["env"]}
    [monitor] = of_kind("PodMonitor")
    doors = [d["spec"] for d in of_kind("NetworkPolicy") if pod in pods_of(d["spec"]["podSelector"])]

    [port] = container["ports"]

    assert pod in pods_of(monitor["spec"]["selector"])
    assert [end["port"] for end in monitor["spec"]["podMetricsEndpoints"]] == [port["name"]]
    assert environment["MASTERIA_METRICS_LISTEN"] == f"0.0.0.0:{port['containerPort']}"
    assert port["containerPort"] in {
        opened["port"] for spec in doors for way in spec.get("ingress", ()) for opened in way["ports"]
    }
    assert environment[COUNTS_VARIABLE] in {mount["mountPath"] for mount in container["volumeMounts"]}


@pytest.mark.parametrize("name", sorted(set(PROCESSES) - {"beat"}))
def test_a_machine_can_be_emptied_without_stopping_a_process_altogether(name: str) -> None:
    budgets = [
        budget["spec"]["maxUnavailable"]
        for budget in of_kind("PodDisruptionBudget")
        if labels_match(budget["spec"]["selector"], pod_in(workload(name))["metadata"]["labels"])
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


def test_a_restore_reads_the_ledger_of_every_worker(tmp_path: Path) -> None:
    for name in ("worker-events-0", "worker-events-1", "lost+found"):
        (tmp_path / name).mkdir()
    for name in ("worker-events-0", "worker-events-1"):
        (tmp_path / name / "erasures-2026-11.jsonl").touch()
    told = tmp_path / "masteria"
    told.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    told.chmod(0o755)
    container = containers_of(workload("restore"))[0]

    said = subprocess.run(
        container["command"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "LEDGERS": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()

    assert said == [
        "restore",
        "--yes",
        *(word for n in (0, 1) for word in ("--ledger", f"{tmp_path}/worker-events-{n}/")),
    ]
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert next(given["value"] for given in container["env"] if given["name"] == "LEDGERS") in mounted


def test_a_restore_never_runs_by_itself() -> None:
    spec = named("CronJob", "restore")["spec"]

    assert spec["suspend"] is True
    assert spec["jobTemplate"]["spec"]["backoffLimit"] == 0
