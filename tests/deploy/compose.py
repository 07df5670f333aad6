"""The Compose files as Compose itself reads them: tags understood, an override merged into its base."""

from pathlib import Path
from typing import Any

import yaml

RESET, OVERRIDE = "!reset", "!override"
# Sequences of these stand for one thing, so an override's takes the place of the base's (compose-spec, "Merge").
WHOLE = ("command", "entrypoint", "test")
# Sequences of these are known by where they lead, so an override's takes the place of the base's that leads there.
BY_TARGET = ("volumes", "configs", "secrets")


class Tagged:
    """A value under one of Compose's own tags."""

    def __init__(self, tag: str, value: Any) -> None:
        self.tag = tag
        self.value = value


class ComposeLoader(yaml.SafeLoader):
    """YAML with Compose's tags."""


def _tagged(loader: ComposeLoader, node: yaml.Node) -> Tagged:
    if isinstance(node, yaml.SequenceNode):
        value: Any = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        value = None
    return Tagged(node.tag, value)


ComposeLoader.add_constructor(RESET, _tagged)
ComposeLoader.add_constructor(OVERRIDE, _tagged)


def read(path: Path) -> dict[str, Any]:
    """A Compose file, its tags still in it."""
    loaded = yaml.load(path.read_text(), Loader=ComposeLoader)  # noqa: S506 - a SafeLoader with two tags more
    assert isinstance(loaded, dict)
    return loaded


def untagged(value: Any) -> Any:
    """The same without tags, for those who do not know them."""
    if isinstance(value, Tagged):
        return untagged(value.value)
    if isinstance(value, dict):
        return {key: untagged(item) for key, item in value.items()}
    if isinstance(value, list):
        return [untagged(item) for item in value]
    return value


def merged(base: Any, override: Any, key: str = "") -> Any:
    """What Compose makes of a base and its override."""
    if isinstance(override, Tagged):
        return untagged(override.value) if override.tag == OVERRIDE else None
    if isinstance(base, dict) and isinstance(override, dict):
        both = {
            name: merged(base.get(name), override[name], name) if name in override else base[name]
            for name in (*base, *(name for name in override if name not in base))
        }
        return {name: value for name, value in both.items() if value is not None}
    if isinstance(base, list) and isinstance(override, list) and key not in WHOLE:
        if key in BY_TARGET:
            return list({_target(item): item for item in (*base, *override)}.values())
        return [*base, *override]
    return untagged(override)


def _target(item: Any) -> str:
    """Where a mount leads, in either of its spellings."""
    return str(item["target"]) if isinstance(item, dict) else str(item).split(":")[1]
