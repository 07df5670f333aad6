"""Autoscaling and alerts of deploy/kubernetes: what they ask for exists, and both ways of scaling agree."""

from typing import Any

import pytest
import yaml

from tests.deploy.kustomize import FOLDER, Document, rendered
from tests.deploy.metrics import asked_of, registered

SCALED = {"worker-send", "worker-events"}
ASKING = ("HorizontalPodAutoscaler", "PrometheusRule", "ScaledObject")


def by_name(overlay: str, kind: str) -> dict[str, Document]:
    documents = rendered(FOLDER / "overlays" / overlay)
    return {d["metadata"]["name"]: d for d in documents if d["kind"] == kind}


def asking() -> list[Document]:
    return [
        document
        for overlay in ("example-keda", "example-hpa")
        for kind in ASKING
        for document in by_name(overlay, kind).values()
    ]


def test_every_metric_that_is_asked_for_is_one_that_the_product_has() -> None:
    asked = {name for document in asking() for name, _ in asked_of(document)}

    assert asked - set(registered()) == set()


def test_every_label_that_is_chosen_by_is_one_that_its_metric_has() -> None:
    known = registered()

    chosen = [(name, set(labels)) for document in asking() for name, labels in asked_of(document) if labels]

    assert [(name, labels) for name, labels in chosen if not labels <= set(known[name])] == []
    assert {
        labels["lane"] for document in asking() for _, labels in asked_of(document) if "lane" in labels
    } == {
        "bulk",
        "reply",
    }


@pytest.mark.parametrize("overlay", ["example-keda", "example-hpa"])
def test_what_is_scaled_says_nowhere_else_how_many_it_is(overlay: str) -> None:
    workloads = by_name(overlay, "Deployment") | by_name(overlay, "StatefulSet")

    assert {name for name, document in workloads.items() if "replicas" not in document["spec"]} == SCALED


def test_a_scaler_names_what_there_is() -> None:
    for name, scaler in by_name("example-keda", "ScaledObject").items():
        target = scaler["spec"]["scaleTargetRef"]
        assert target["name"] in by_name("example-keda", target.get("kind", "Deployment"))
        assert name == target["name"]
    for name, scaler in by_name("example-hpa", "HorizontalPodAutoscaler").items():
        target = scaler["spec"]["scaleTargetRef"]
        assert target["name"] in by_name("example-hpa", target["kind"])
        assert name == target["name"]


def test_both_ways_of_scaling_do_the_same() -> None:
    keda = by_name("example-keda", "ScaledObject")
    hpa = by_name("example-hpa", "HorizontalPodAutoscaler")

    assert set(keda) == set(hpa) == SCALED
    assert {name: _of_keda(document) for name, document in keda.items()} == {
        name: _of_hpa(document) for name, document in hpa.items()
    }


def _of_keda(document: Document) -> dict[str, Any]:
    spec = document["spec"]
    return {
        "most": spec["maxReplicaCount"],
        "least": spec["minReplicaCount"],
        "behavior": spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"],
        "asked": list(asked_of(document)),
        "for_one": [trigger["metadata"]["threshold"] for trigger in spec["triggers"]],
    }


def _of_hpa(document: Document) -> dict[str, Any]:
    spec = document["spec"]
    return {
        "most": spec["maxReplicas"],
        "least": spec["minReplicas"],
        "behavior": spec["behavior"],
        "asked": list(asked_of(document)),
        "for_one": [metric["external"]["target"]["averageValue"] for metric in spec["metrics"]],
    }


def test_a_scaler_that_hears_nothing_does_not_send_workers_away() -> None:
    for scaler in by_name("example-keda", "ScaledObject").values():
        spec = scaler["spec"]
        assert spec["minReplicaCount"] <= spec["fallback"]["replicas"] <= spec["maxReplicaCount"]
        assert all(trigger["metadata"]["ignoreNullValues"] == "false" for trigger in spec["triggers"])


def test_every_alert_says_what_it_is_about() -> None:
    rules = [
        rule
        for document in by_name("example", "PrometheusRule").values()
        for group in document["spec"]["groups"]
        for rule in group["rules"]
    ]

    assert len({rule["alert"] for rule in rules}) == len(rules)
    assert all(any(asked_of({"kind": "", "spec": {"groups": [{"rules": [rule]}]}})) for rule in rules)
    assert all(rule["expr"].count("(") == rule["expr"].count(")") for rule in rules)


def test_the_monitor_finds_both_doors() -> None:
    (monitor,) = by_name("example", "ServiceMonitor").values()
    spec = monitor["spec"]
    wanted = spec["selector"]["matchLabels"].items()
    components = spec["selector"]["matchExpressions"][0]["values"]

    found = {
        (name, port["name"])
        for name, service in by_name("example", "Service").items()
        if wanted <= (labels := service["metadata"].get("labels", {})).items()
        and labels.get("app.kubernetes.io/component") in components
        for port in service["spec"]["ports"]
    }

    assert found == {("api", spec["endpoints"][0]["port"]), ("console", spec["endpoints"][0]["port"])}


def test_the_adapter_is_told_of_what_the_autoscaler_asks_for() -> None:
    text = (FOLDER / "components" / "hpa" / "kustomization.yaml").read_text()
    comment = "\n".join(line[2:] for line in text.splitlines() if line.startswith("#   "))

    (rule,) = yaml.safe_load(comment)["rules"]["external"]

    asked = {
        name
        for document in by_name("example-hpa", "HorizontalPodAutoscaler").values()
        for name, _ in asked_of(document)
    }
    assert set(rule["seriesQuery"].split('"')[1].split("|")) == asked
