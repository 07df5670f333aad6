"""Every word a component says by key, in its own source or in the parts of the kit it draws, has a label."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from console import components
from console.components import Component

SOURCES = Path(components.__file__).parent / "src"
KINDS = [getattr(components, name) for name in components.__all__]
CLASSES = [
    kind for kind in KINDS if isinstance(kind, type) and issubclass(kind, Component) and kind is not Component
]
DECLARED = re.compile(r"^(?:export )?(?:async )?(?:function|const|class|let) (\w+)", re.MULTILINE)
IMPORTED = re.compile(r'^import \{([^}]*)\} from "(\.[^"]+)"', re.MULTILINE)
NAME = re.compile(r"[A-Za-z_]\w*")
LITERAL = re.compile(r'"([^"]*)"|`([^`]*)`')


@dataclass(frozen=True)
class Source:
    """One file of the kit: its top-level pieces by name, and where each name it imports comes from."""

    pieces: dict[str, str]
    imports: dict[str, Path]


@cache
def source_of(path: Path) -> Source:
    text = path.read_text(encoding="utf-8")
    starts = [(found.start(), found[1]) for found in DECLARED.finditer(text)]
    ends = [start for start, _ in starts[1:]] + [len(text)]
    pieces = {name: text[start:end] for (start, name), end in zip(starts, ends, strict=True)}
    imports = {
        name.strip(): (path.parent / place).resolve()
        for names, place in IMPORTED.findall(text)
        for name in names.split(",")
    }
    return Source(pieces, imports)


def drawn_by(path: Path, name: str, seen: set[tuple[Path, str]]) -> set[tuple[Path, str]]:
    """The piece, and every piece of the kit that it uses."""
    if (path, name) in seen:
        return seen
    seen.add((path, name))
    source = source_of(path)
    for used in set(NAME.findall(source.pieces[name])) - {name}:
        if used in source.pieces:
            drawn_by(path, used, seen)
        elif source.imports.get(used, path).suffix in {".jsx", ".js"} and used in source.imports:
            drawn_by(source.imports[used], used, seen)
    return seen


def spoken_in(piece: str) -> set[str]:
    """The keys in the first argument of each call of `t`; a key that is put together ends with `*`."""
    keys: set[str] = set()
    for call in re.finditer(r"\bt\(", piece):
        depth, end = 0, call.end()
        while depth > 0 or piece[end] not in ",)":
            depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(piece[end], 0)
            end += 1
        asked = piece[call.end() : end].rpartition(" ? ")[2]  # what decides between two keys is no key
        for plain, made in LITERAL.findall(asked):
            if made or asked.partition(f'"{plain}"')[2].lstrip().startswith("+"):
                keys.add((made.partition("${")[0] if made else plain) + "*")
            elif not asked.rpartition(f'"{plain}"')[0].rstrip().endswith("+"):
                keys.add(plain)
    return keys


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_word_a_component_and_its_parts_speak_has_a_label(kind: type[Component]) -> None:
    known = set(kind.LABELS) | {key.removesuffix(".one").removesuffix(".other") for key in kind.LABELS}
    pieces = drawn_by((SOURCES / f"{kind.__name__}.jsx").resolve(), "render", set())

    spoken = {key for path, name in pieces for key in spoken_in(source_of(path).pieces[name])}

    missing = {
        key
        for key in spoken
        if key not in known and not (key.endswith("*") and any(label.startswith(key[:-1]) for label in known))
    }
    assert missing == set()


def test_a_word_spoken_by_a_part_of_the_kit_is_found() -> None:
    pieces = drawn_by((SOURCES / "Form.jsx").resolve(), "render", set())

    spoken = {key for path, name in pieces for key in spoken_in(source_of(path).pieces[name])}

    assert {"unsaved.text", "add_tag", "upload.too_big", "copied", "show", "hide"} <= spoken
