"""The supervisor over small programs of our own: order, restart, stop, and nothing left behind."""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from engine.cli.programs import Group, Program
from engine.cli.supervisor import (
    SUPERVISED,
    Supervisor,
    socket_path,
    start_supervisor,
    supervisor_conf,
    sweep,
)

# Writes its name when it is asked to end, some time later.
PROGRAM = """
import signal, sys, time, pathlib
name, journal, seconds = sys.argv[1], pathlib.Path(sys.argv[2]), float(sys.argv[3])
def end(*_):
    time.sleep(seconds)
    with journal.open("a") as file:
        file.write(name + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
while True:
    time.sleep(0.1)
"""


def program(home: Path, name: str, group: Group, *, seconds: float = 0.0, stop_seconds: int = 5) -> Program:
    script = home / "program.py"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(PROGRAM)
    return Program(
        name=name,
        group=group,
        command=(sys.executable, str(script), name, str(home / "ended"), str(seconds)),
        stop_seconds=stop_seconds,
    )


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="masteria-supervisor-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
        sweep(Path(folder), seconds=5)


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.05)


def pids(supervisor: Supervisor) -> dict[str, int]:
    return {state.name: state.pid for state in supervisor.states() if state.state in ("STARTING", "RUNNING")}


def test_groups_end_from_the_last_to_the_first(home: Path) -> None:
    programs = [
        program(home, "database", Group.POSTGRES),
        program(home, "door", Group.DOORS),
        program(home, "worker", Group.WORK, seconds=0.5),
    ]
    supervisor = start_supervisor(home, programs, {})
    for group in (Group.POSTGRES, Group.DOORS, Group.WORK):
        supervisor.start(group)
    wait_for(lambda: all(state.state == "RUNNING" for state in supervisor.states()))

    supervisor.shut_down()

    assert (home / "ended").read_text().split() == ["worker", "door", "database"]
    assert not supervisor.is_alive()


def test_a_killed_program_comes_back(home: Path) -> None:
    supervisor = start_supervisor(home, [program(home, "worker", Group.WORK)], {})
    supervisor.start(Group.WORK)
    wait_for(lambda: all(state.state == "RUNNING" for state in supervisor.states()))
    before = pids(supervisor)["worker"]

    os.kill(before, signal.SIGKILL)

    wait_for(lambda: pids(supervisor).get("worker", before) != before)
    supervisor.shut_down()


def test_what_does_not_end_in_time_is_killed(home: Path) -> None:
    stubborn = program(home, "worker", Group.WORK, seconds=60, stop_seconds=1)
    supervisor = start_supervisor(home, [stubborn], {})
    supervisor.start(Group.WORK)
    wait_for(lambda: all(state.state == "RUNNING" for state in supervisor.states()))
    pid = pids(supervisor)["worker"]

    supervisor.shut_down()

    assert not psutil.pid_exists(pid)
    assert not (home / "ended").exists()


def test_programs_of_a_killed_supervisor_are_swept_up(home: Path) -> None:
    supervisor = start_supervisor(home, [program(home, "worker", Group.WORK)], {})
    supervisor.start(Group.WORK)
    wait_for(lambda: all(state.state == "RUNNING" for state in supervisor.states()))
    orphan = pids(supervisor)["worker"]
    supervisor.child.kill()
    supervisor.child.wait()
    assert psutil.pid_exists(orphan)

    swept = sweep(home)

    assert len(swept) == 1
    assert not psutil.pid_exists(orphan)


def test_programs_of_another_home_are_left_alone(home: Path, tmp_path: Path) -> None:
    supervisor = start_supervisor(home, [program(home, "worker", Group.WORK)], {})
    supervisor.start(Group.WORK)
    wait_for(lambda: all(state.state == "RUNNING" for state in supervisor.states()))

    assert sweep(tmp_path) == []

    assert supervisor.is_alive()
    supervisor.shut_down()


def test_secrets_travel_in_the_environment_and_not_in_a_file(home: Path) -> None:
    supervisor = start_supervisor(
        home, [program(home, "worker", Group.WORK)], {"MASTERIA_SECRET_OF_TEST": "s3cr3t"}
    )
    supervisor.start(Group.WORK)
    wait_for(lambda: all(state.state == "RUNNING" for state in supervisor.states()))

    environment = psutil.Process(pids(supervisor)["worker"]).environ()

    supervisor.shut_down()
    assert environment["MASTERIA_SECRET_OF_TEST"] == "s3cr3t"
    assert environment[SUPERVISED] == str(home)
    assert "s3cr3t" not in (home / "run" / "supervisord.conf").read_text()


def test_a_deep_home_gets_a_short_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 60) / ("y" * 60)

    assert len(str(socket_path(deep))) < 100
    assert socket_path(deep) != socket_path(deep / "z")


def test_a_path_with_a_percent_sign_or_a_blank_is_kept(tmp_path: Path) -> None:
    odd = tmp_path / "100% mine"

    conf = supervisor_conf(odd, [program(odd, "worker", Group.WORK)])

    assert f"logfile = {tmp_path}/100%% mine/logs/supervisor.log" in conf
    assert f"'{tmp_path}/100%% mine/ended'" in conf
