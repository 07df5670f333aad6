"""Where each microsecond of sending goes: PostgreSQL by statement, and the workers by function.

    make bench-where
    make bench-where ARGS="--messages 40000 --profiles profiles/"   # also a flame graph of each worker (needs py-spy)

The statements are counted by PostgreSQL's own pg_stat_statements, switched on for this run alone; their times are of
the wall clock, inside the server. It costs something itself, so the sum is a little above what `make bench-send` says.
"""

import argparse
import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import psycopg

from benchmarks.send import Product
from tests.walks.stack import Stack, running_apart

SHOWN = 25
WORKERS = ("-Q send", "-Q events")

_BY_STATEMENT = """
select calls, rows, total_exec_time, mean_exec_time, query from pg_stat_statements s
join pg_database d on d.oid = s.dbid where d.datname = 'masteria' order by total_exec_time desc
"""


def count_statements(stack: Stack) -> None:
    """Switch PostgreSQL's counters on; they need a start of the server."""
    with psycopg.connect(stack.database_url(), autocommit=True) as connection:
        connection.execute("alter system set shared_preload_libraries = 'pg_stat_statements'")
        connection.execute("alter system set track_io_timing = off")
    stack.stop()
    stack.start()
    with psycopg.connect(stack.database_url(), autocommit=True) as connection:
        connection.execute("create extension pg_stat_statements")


def forget(stack: Stack) -> None:
    """Count from here on."""
    with psycopg.connect(stack.database_url(), autocommit=True) as connection:
        connection.execute("select pg_stat_statements_reset()")


def by_statement(stack: Stack, messages: int) -> list[str]:
    """The dearest statements, a line each, with microseconds per message."""
    with psycopg.connect(stack.database_url(), autocommit=True) as connection:
        rows = connection.execute(_BY_STATEMENT).fetchall()
    lines = [f"{sum(row[2] for row in rows) * 1000 / messages:8.1f} us a message of all statements"]
    for calls, amount, total, mean, query in rows[:SHOWN]:
        words = re.sub(r"\s+", " ", query)[:110]
        lines.append(
            f"{total * 1000 / messages:8.1f} us  {calls:7} x {mean:8.3f} ms  {amount:8} rows  {words}"
        )
    return lines


@contextmanager
def flames(stack: Stack, folder: Path) -> Iterator[None]:
    """A flame graph of each busy worker for as long as the block lasts."""
    spy = shutil.which("py-spy")
    if spy is None:
        raise SystemExit("Install py-spy, or leave --profiles out.")
    folder.mkdir(parents=True, exist_ok=True)
    seen = []
    for words in WORKERS:
        for process in stack.processes(words):
            if "celery" in " ".join(psutil.Process(process.ppid()).cmdline()):
                path = folder / f"{words.removeprefix('-Q ')}-{process.pid}.txt"
                command = [spy, "record", "--pid", str(process.pid), "--format", "raw", "--rate", "200"]
                seen.append(subprocess.Popen([*command, "--output", str(path)], stdout=subprocess.DEVNULL))
    try:
        yield
    finally:
        for process in seen:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def main() -> None:
    """Send once and tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=40_000)
    parser.add_argument("--profiles", type=Path, default=None, help="a folder for the workers' flame graphs")
    given = parser.parse_args()
    with running_apart() as stack:
        count_statements(stack)
        product = Product.on(stack, given.messages)
        product.send()  # so that its processes are warm and its plans are made
        with ExitStack() as watched:
            if given.profiles is not None:
                watched.enter_context(flames(stack, given.profiles))
            done = product.send(before=lambda: forget(stack))
        print("\n".join(by_statement(stack, product.messages)))
        print(json.dumps(done["cpu_us_by_part"], indent=2))


if __name__ == "__main__":
    main()
