"""As much of kustomize as our folders use, so that they can be proved without it; what is not known here is refused."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from engine.core.settings import project_root

FOLDER = project_root() / "deploy" / "kubernetes"
KNOWN = {
    "apiVersion",
    "kind",
    "namespace",
    "resources",
    "components",
    "images",
    "configMapGenerator",
    "patches",
}

type Document = dict[str, Any]


class StrictLoader(yaml.SafeLoader):
    """Refuses a key that is given twice, as Kubernetes does; PyYAML takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping, each key once."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        assert not twice, f"{twice} twice in line {node.start_mark.line + 1}"
        return super().construct_mapping(node, deep)


def rendered(folder: Path, under: list[Document] | None = None) -> list[Document]:
    """The documents of a kustomization, or those `under` a component with what it adds and changes."""
    given = yaml.load((folder / "kustomization.yaml").read_text(), Loader=StrictLoader)  # noqa: S506 (a SafeLoader)
    assert set(given) <= KNOWN, set(given) - KNOWN
    documents = under or []
    for name in given.get("resources", ()):
        path = folder / name
        documents += rendered(path.resolve()) if path.is_dir() else documents_of(path)
    for name in given.get("components", ()):
        documents = rendered((folder / name).resolve(), documents)
    for generator in given.get("configMapGenerator", ()):
        _generate(documents, generator, folder)
    for patch in given.get("patches", ()):
        _patch(documents, patch)
    for image in given.get("images", ()):
        _rename(documents, image)
    return documents


def documents_of(path: Path) -> list[Document]:
    """The documents of one file."""
    return [document for document in yaml.load_all(path.read_text(), Loader=StrictLoader) if document]


def pod_of(document: Document) -> Document | None:
    """The pod that a workload makes, if it is a workload."""
    spec = document.get("spec", {})
    found: Document | None = spec.get("jobTemplate", {}).get("spec", spec).get("template")
    return found if isinstance(found, dict) else None


def containers_of(document: Document) -> list[Document]:
    """A workload's containers, those that run before it too."""
    pod = pod_of(document)
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]] if pod else []


def _generate(documents: list[Document], generator: Document, folder: Path) -> None:
    assert set(generator) <= {"name", "behavior", "literals", "files"}, generator
    data = dict(literal.split("=", 1) for literal in generator.get("literals", ()))
    data |= {name: (folder / name).read_text() for name in generator.get("files", ())}
    same = [d for d in documents if d["kind"] == "ConfigMap" and d["metadata"]["name"] == generator["name"]]
    assert len(same) == (generator.get("behavior") == "merge"), generator["name"]
    if same:
        same[0]["data"] |= data
        return
    documents.append(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": data}
    )


def _patch(documents: list[Document], patch: Document) -> None:
    target = patch["target"]
    found = [d for d in documents if (d["kind"], d["metadata"]["name"]) == (target["kind"], target["name"])]
    assert len(found) == 1, target
    for step in yaml.safe_load(patch["patch"]):
        *parents, last = step["path"].strip("/").split("/")
        place = found[0]
        for parent in parents:
            place = place[parent]
        if step["op"] == "remove":
            del place[last]
        else:
            assert step["op"] == "add", step
            place[last] = deepcopy(step["value"])


def _rename(documents: list[Document], image: Document) -> None:
    for container in (container for document in documents for container in containers_of(document)):
        if container["image"] == image["name"]:
            container["image"] = f"{image['newName']}:{image['newTag']}"
