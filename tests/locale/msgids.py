"""Finds every text that the engine says to people, by reading its code."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from engine.core.settings import project_root

# They talk to operators and providers, in English.
APART = ("simulator", "cli", "embedded", "client")
MARKS = {"N_", "say"}
# Which positional argument of an error bears the text.
SECOND = 1
THIRD = 2


def engine_msgids() -> dict[str, str]:
    """Each msgid, and where it stands."""
    found: dict[str, str] = {}
    files = [file for file in sorted((project_root() / "engine").rglob("*.py")) if not _is_apart(file)]
    trees = {file: ast.parse(file.read_text()) for file in files}
    errors = _error_names(trees.values())
    for file, tree in trees.items():
        for msgid, line in _msgids(tree, errors):
            found.setdefault(msgid, f"{file.relative_to(project_root())}:{line}")
    return found


def _is_apart(file: Path) -> bool:
    return file.relative_to(project_root() / "engine").parts[0] in APART


def _error_names(trees: Iterable[ast.Module]) -> set[str]:
    """The classes of the error tree, wherever they are declared."""
    bases: dict[str, set[str]] = {}
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = {_name(base) for base in node.bases}
    known = {"MasterIAError"}
    while True:
        more = {name for name, of in bases.items() if of & known} - known
        if not more:
            return known
        known |= more


def _msgids(tree: ast.Module, errors: set[str]) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name in errors:
            yield from _class_text(node)
        elif isinstance(node, ast.Call):
            for argument in _text_arguments(node, errors):
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value, argument.lineno


def _class_text(node: ast.ClassDef) -> Iterator[tuple[str, int]]:
    for line in node.body:
        targets = [line.target] if isinstance(line, ast.AnnAssign) else getattr(line, "targets", [])
        value = getattr(line, "value", None)
        if any(_name(target) == "text" for target in targets) and isinstance(value, ast.Constant):
            yield value.value, line.lineno


def _text_arguments(call: ast.Call, errors: set[str]) -> list[ast.expr]:
    name = _name(call.func)
    if name in MARKS:
        return call.args[:1]
    if name == "field" and isinstance(call.func, ast.Attribute) and _name(call.func.value) in errors:
        return call.args[THIRD : THIRD + 1]
    if name == "FieldProblem" or name in {"WrongState", "TooManyTries"}:
        return call.args[THIRD : THIRD + 1]
    if name in errors:
        named = [keyword.value for keyword in call.keywords if keyword.arg == "text"]
        return call.args[SECOND : SECOND + 1] + named
    return []


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
