"""The scripts behind `make`, run on folders of their own."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from engine.core.settings import project_root

ROOT = project_root()


def program(path: Path) -> str:
    """A file that can be run."""
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def found_chromium(**environment: str) -> str:
    """What the script prints."""
    script = str(ROOT / "scripts" / "find-chromium")
    told = subprocess.run([script], check=True, capture_output=True, text=True, env=environment)
    return told.stdout.strip()


def test_the_browser_named_is_the_one_used(tmp_path: Path) -> None:
    named = program(tmp_path / "my-browser")

    assert found_chromium(PATH=os.environ["PATH"], CHROMIUM_PATH=named) == named


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"])
def test_a_browser_of_the_system_is_found_under_each_of_its_names(tmp_path: Path, name: str) -> None:
    there = program(tmp_path / name)
    dirname = shutil.which("dirname")
    assert dirname is not None
    (tmp_path / "dirname").symlink_to(dirname)

    assert found_chromium(PATH=str(tmp_path)) == there


def test_no_test_or_benchmark_looks_for_a_browser_by_itself() -> None:
    files = [path for folder in ("tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    by_itself = ("/usr/bin/" + "chrom", 'which("' + "chrom", "set-up-" + "test", "MASTERIA_" + "CHROMIUM")

    assert [path.name for path in files if any(sign in path.read_text() for sign in by_itself)] == []


def test_a_checkout_that_was_moved_gets_a_command_that_works_where_it_is(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    for folder in ("scripts", "requirements"):
        (before / folder).mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "set-up", before / "scripts")
    (before / "requirements" / "runtime.lock").write_text("")  # no packages: the environment alone
    set_up = [str(before / "scripts" / "set-up"), "runtime"]
    subprocess.run(set_up, check=True, capture_output=True)
    second = subprocess.run(set_up, check=True, capture_output=True)
    before.rename(after)

    subprocess.run([str(after / "scripts" / "set-up"), "runtime"], check=True, capture_output=True)

    assert second.stderr == b""
    assert f'"{after}/.venv/bin/python"' in (after / ".venv" / "bin" / "masteria").read_text()
