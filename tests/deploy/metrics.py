"""Which metrics our rules and triggers name, and which the product has."""

import re
from collections.abc import Iterator

from prometheus_client import Counter, Gauge, Histogram

from engine.core import metrics
from engine.messaging.depth import Depth, LaneDepth, families
from engine.messaging.models import Lane
from tests.deploy.kustomize import Document

NAMED = re.compile(r"\b(?P<name>masteria_[a-z_]+)(?:\{(?P<labels>[^}]*)\})?")
LABEL = re.compile(r"(\w+)\s*(?:=~|!=|!~|=)\s*\"([^\"]*)\"")
ENDINGS = {Counter: ("_total",), Histogram: ("_bucket", "_count", "_sum"), Gauge: ("",)}


def registered() -> dict[str, tuple[str, ...]]:
    """The names under which Prometheus finds the engine's metrics, each with its labels."""
    found = {}
    for metric in vars(metrics).values():
        for kind, endings in ENDINGS.items():
            if isinstance(metric, kind):
                found |= {f"{metric._name}{ending}": metric._labelnames for ending in endings}
    nothing = Depth(dict.fromkeys(Lane, LaneDepth()), webhooks=0, webhooks_oldest=0.0, parked=0)
    for family in families(nothing):
        found[family.name] = tuple(family.samples[0].labels)
    return found


def asked_of(document: Document) -> Iterator[tuple[str, dict[str, str]]]:
    """The metrics that a rule, a trigger or an autoscaler names, with the labels that it chooses by."""
    spec = document["spec"]
    if document["kind"] == "HorizontalPodAutoscaler":
        for metric in spec["metrics"]:
            wanted = metric["external"]["metric"]
            yield wanted["name"], wanted.get("selector", {}).get("matchLabels", {})
        return
    expressions = [trigger["metadata"]["query"] for trigger in spec.get("triggers", ())]
    expressions += [rule["expr"] for group in spec.get("groups", ()) for rule in group["rules"]]
    for expression in expressions:
        for name in NAMED.finditer(expression):
            yield name["name"], dict(LABEL.findall(name["labels"] or ""))
