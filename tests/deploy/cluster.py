"""The example overlays as a cluster would get them, and how to find one's way in them."""

import json
from functools import cache

from tests.deploy.kustomize import FOLDER, Document, containers_of, documents_of, pod_of, rendered

OVERLAYS = ("example", "example-keda", "example-hpa")
WORKLOADS = ("Deployment", "StatefulSet", "Job", "CronJob")
PROCESSES = ("api", "beat", "console", "worker-audiences", "worker-events", "worker-jobs", "worker-send")
POOL_SETTING = "MASTERIA_DATABASE_POOLED"


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


def pod_in(document: Document) -> Document:
    """The pod of a workload."""
    found = pod_of(document)
    assert found is not None
    return found
