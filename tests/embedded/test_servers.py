import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from engine.embedded import start_postgres, start_valkey
from engine.embedded.postgres import postgres_conf

STARTER = """
import sys, time
from pathlib import Path
from engine.embedded import start_postgres, start_valkey
home = Path(sys.argv[1])
start_postgres(home), start_valkey(home)
print("up", flush=True)
time.sleep(60)
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A home of its own that PostgreSQL's user can reach, for servers of its own."""
    with tempfile.TemporaryDirectory(prefix="masteria-embedded-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def test_data_and_addresses_outlive_a_restart(place: Path) -> None:
    first = start_postgres(place)
    with psycopg.connect(first.urls.owner) as connection:
        connection.execute("create table kept as select 42 as answer")
    first.stop()

    second = start_postgres(place)

    with psycopg.connect(second.urls.owner) as connection:
        row = connection.execute("select answer from kept").fetchone()
    second.stop()
    assert row == (42,)
    assert second.urls == first.urls


def test_valkey_keeps_its_bells_over_a_restart_and_evicts_nothing(place: Path) -> None:
    first = start_valkey(place)
    with redis.Redis.from_url(first.server.url) as client:
        client.set("bell", "rings")
    first.stop()

    second = start_valkey(place)

    with redis.Redis.from_url(second.server.url) as client:
        kept = client.get("bell")
        policy = client.config_get("maxmemory-policy")
    second.stop()
    assert kept == b"rings"
    assert policy == {"maxmemory-policy": "noeviction"}


def test_nobody_enters_without_a_password(place: Path) -> None:
    postgres, valkey = start_postgres(place), start_valkey(place)

    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(f"postgresql://postgres@127.0.0.1:{postgres.server.port}/masteria")
    with pytest.raises(redis.AuthenticationError), redis.Redis(port=valkey.server.port) as client:
        client.ping()
    postgres.stop()
    valkey.stop()


def test_servers_of_a_killed_run_are_ended_by_the_next(place: Path) -> None:
    run = subprocess.Popen([sys.executable, "-c", STARTER, str(place)], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    assert run.stdout.readline() == "up\n"
    left = int((place / "postgres" / "postmaster.pid").read_text().split()[0])
    run.kill()
    run.wait()

    postgres, valkey = start_postgres(place), start_valkey(place)

    assert not psutil.pid_exists(left)
    postgres.stop()
    valkey.stop()


def test_a_pid_file_of_somebody_else_is_no_obstacle(place: Path) -> None:
    start_postgres(place).stop()
    pid_file = place / "postgres" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{place}\n")

    running = start_postgres(place)

    running.stop()


def test_a_killed_postgres_comes_back_with_what_was_committed(place: Path) -> None:
    running = start_postgres(place)
    with psycopg.connect(running.urls.owner) as connection:
        connection.execute("create table kept as select 42 as answer")
    running.child.send_signal(signal.SIGKILL)
    running.child.wait()

    again = start_postgres(place)

    with psycopg.connect(again.urls.owner) as connection:
        row = connection.execute("select answer from kept").fetchone()
    again.stop()
    assert row == (42,)


def test_a_commit_is_on_disk_before_it_is_answered() -> None:
    conf = postgres_conf(5432, durable=True)

    assert {"fsync = on", "synchronous_commit = on", "full_page_writes = on"} <= set(conf.splitlines())


def test_a_stop_takes_no_longer_than_the_checkpoint(place: Path) -> None:
    running = start_postgres(place)
    idle = psycopg.connect(running.urls.app)
    before = time.monotonic()

    running.stop()

    idle.close()
    assert time.monotonic() - before < 5
