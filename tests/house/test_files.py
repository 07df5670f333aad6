"""What every committed file must be, whoever wrote it."""

import re
import subprocess
from pathlib import Path

import pytest

from engine.core.settings import project_root

ROOT = project_root()
LONGEST_MODULE = 500
SOURCES = ("engine", "console", "kanban_widget", "alembic", "benchmarks", "tests", "notebooks")
EMPTY_NAMES = (
    "common",
    "handle",
    "helper",
    "helpers",
    "manager",
    "managers",
    "misc",
    "process",
    "util",
    "utils",
)
# Written by tools, with what tools write in them.
GENERATED = ("requirements/", "console/components/dist/", "tests/fixtures/", "package-lock.json")


def committed(*suffixes: str) -> list[Path]:
    """The files in the repository, with those that wait to be added; all of them, or by suffix."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    files = [ROOT / line for line in listing.splitlines() if not suffixes or line.endswith(suffixes)]
    return [file for file in files if file.is_file()]


def relative(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def texts() -> list[tuple[str, str]]:
    """Name and text of every committed text file that people write."""
    found = []
    for file in committed():
        name = relative(file)
        content = file.read_bytes()
        if b"\0" not in content and not name.startswith(GENERATED):
            found.append((name, content.decode()))
    return found


def lines_that_match(pattern: str, *, but: tuple[str, ...] = ()) -> list[str]:
    look = re.compile(pattern)
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts()
        if name not in but
        for number, line in enumerate(text.splitlines(), start=1)
        if look.search(line)
    ]


def test_no_module_is_longer_than_five_hundred_lines() -> None:
    long = {relative(file): file.read_text().count("\n") for file in committed(".py", ".jsx", ".mjs", ".ts")}

    assert {name: lines for name, lines in long.items() if lines > LONGEST_MODULE} == {}


def test_every_module_has_a_name_that_says_something() -> None:
    stems = [file for file in committed(".py") if file.stem.lower().strip("_") in EMPTY_NAMES]
    folders = [
        file for file in committed(".py") if set(EMPTY_NAMES).intersection(file.relative_to(ROOT).parts)
    ]

    assert [relative(file) for file in {*stems, *folders}] == []


def test_nothing_is_left_for_later() -> None:
    marks = "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK", "NotImplemented" + "Error"))

    assert lines_that_match(rf"\b({marks})\b") == []


def test_no_file_names_this_machine() -> None:
    homes = "|".join(("/ro" + "ot/", "/ho" + "me/\\w", "/Us" + "ers/\\w", "/wo" + "rk/", "C:" + r"\\\\Users"))

    assert lines_that_match(rf"(?<![\w.])({homes})") == []


def test_no_file_names_a_package_registry() -> None:
    hosts = r"files\.pythonhosted|pypi\.org|registry\.npmjs|npmmirror|index-url|find-links"
    allowed = ("Makefile", "requirements/runtime.lock", "requirements/dev.lock", "tests/house/test_files.py")

    assert lines_that_match(hosts, but=allowed) == []


def test_lock_files_of_node_name_no_address() -> None:
    locks = committed("package-lock.json")

    assert [relative(lock) for lock in locks if '"resolved"' in lock.read_text()] == []


def test_no_secret_is_committed() -> None:
    secrets = [
        r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s*$",
        r"\bEAA[A-Za-z0-9]{60,}",
        r"\bsk-[A-Za-z0-9]{32,}",
        r"MASTERIA_(?:MASTER|SIGNING)_KEY=[A-Za-z0-9+/]{40,}",
    ]

    assert [line for secret in secrets for line in lines_that_match(secret)] == []


def test_an_ignored_error_says_why() -> None:
    bare = re.compile(r"except[^\n]*:\s*\n\s+pass[ \t]*(?:\n|$)")

    assert [name for name, text in texts() if name.endswith(".py") and bare.search(text)] == []


@pytest.mark.parametrize("name", ["runtime", "dev"])
def test_every_requirement_is_locked_with_hashes(name: str) -> None:
    lock = (ROOT / "requirements" / f"{name}.lock").read_text()

    entries = re.split(r"\n(?=[a-z0-9])", "\n" + lock)[1:]

    assert entries
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert not re.search(r"^--|https?://(?!.*github\.com)", lock, re.M), "a lock names no registry"


def test_what_the_readme_tells_to_type_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    told = {
        target
        for document in ("README.md", "CONTRIBUTING.md")
        for target in re.findall(r"\bmake ([a-z][a-z-]+)\b", code_of((ROOT / document).read_text()))
    }

    targets = set(re.findall(r"^([a-z-]+):", makefile, re.M))

    assert told - targets == set()


def test_every_link_in_the_documents_leads_somewhere() -> None:
    broken = [
        f"{relative(document)}: {target}"
        for document in committed(".md")
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", document.read_text())
        if not (document.parent / target).exists()
    ]

    assert broken == []


def code_of(markdown: str) -> str:
    """What stands in code of a document: blocks and spans."""
    blocks = re.findall(r"```.*?\n(.*?)```", markdown, re.S)
    spans = re.findall(r"`([^`\n]+)`", markdown)
    return "\n".join([*blocks, *spans])
