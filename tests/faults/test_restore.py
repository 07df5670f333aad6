"""The restore drill (F32): nobody is written to twice, nobody is lost in silence, whoever left stays away."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.backup import Drill
from tests.walks.stack import Stack


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for both machines and the other disk, which PostgreSQL's own user may pass through."""
    with tempfile.TemporaryDirectory(prefix="masteria-drill-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def drill(folder: Path, *, to_a_moment: bool, with_the_command: bool = True) -> Drill:
    """A machine with its backup on another disk, and a provider whose log outlives both."""
    for name in ("old", "backup", "provider"):
        (folder / name).mkdir(mode=0o711)
    settings = {
        "MASTERIA_LEDGER_DIR": str(folder / "backup" / "ledger"),
        "MASTERIA_SIMULATOR_STATE": str(folder / "provider" / "log.db"),
    }
    stack = Stack(folder / "old", settings=settings)
    return Drill(stack, folder / "backup", to_a_moment=to_a_moment, with_the_command=with_the_command)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("to_a_moment", [True, False], ids=["to a moment", "to the end of the log"])
def test_a_restored_campaign_writes_to_nobody_twice(folder: Path, to_a_moment: bool) -> None:
    done = drill(folder, to_a_moment=to_a_moment)

    broken = done.run()

    print(done.report)
    assert broken == []


@pytest.mark.long
@pytest.mark.timeout(900)
def test_without_the_command_people_are_written_to_twice(folder: Path) -> None:
    broken = drill(folder, to_a_moment=True, with_the_command=False).run()

    print("Without masteria restore:", *broken, sep="\n")
    assert any("got the message twice" in one for one in broken), broken
    assert any("the deleted person is back" in one for one in broken), broken
    assert any("the opt-out is forgotten" in one for one in broken), broken
