"""What goes wrong, one deed each: how it is done to a running product, and how it ends.

The names are those of the fault table in docs/operations.md. Only processes of the product under test are touched.
"""

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import psycopg
import redis

from tests.walks.stack import Stack, eventually

FROZEN_SECONDS = 8.0
PAST_A_LEASE = 36.0
ENOUGH = 3  # messages that two processes have in hand


@dataclass(frozen=True, slots=True)
class Deed:
    """A fault: `kills_senders` says whether calls can be in flight in a process that it ends; `is_long`, half a minute."""

    name: str
    do: Callable[[Stack], None]
    kills_senders: bool = False
    is_long: bool = False


def _kill_senders(stack: Stack) -> None:
    stack.kill("-Q send")


def _kill_a_child(stack: Stack) -> None:
    """One process of the pool, as the kernel does when memory is short."""
    children = [process for process in stack.processes("-Q send") if _is_child(process)]
    if children:
        children[0].kill()


def _freeze_senders(stack: Stack) -> None:
    """They stand still past what a mark allows, then go on."""
    frozen = stack.processes("-Q send")
    for process in frozen:
        process.suspend()
    time.sleep(FROZEN_SECONDS)
    for process in frozen:
        try:
            process.resume()
        except psutil.NoSuchProcess:
            continue


def freeze_one(stack: Stack, seconds: float = PAST_A_LEASE) -> None:
    """One process stands still until others have taken over what it held; then it goes on as if nothing had been."""
    children = [process for process in stack.processes("-Q send") if _is_child(process)]
    if not children:
        return
    busiest = max(children, key=lambda process: sum(process.cpu_times()[:2]))
    busiest.suspend()
    time.sleep(seconds)
    busiest.resume()


def freeze_in_the_middle(stack: Stack, called_at_once: int) -> None:
    """One process stands still, with more marked than it can call, until another is in the middle of that."""
    children = {process.pid: process for process in stack.processes("-Q send") if _is_child(process)}
    with psycopg.connect(stack.database_url(), autocommit=True) as connection:
        pid, messages = eventually(
            lambda: _fullest(connection, children, called_at_once + ENOUGH),
            seconds=60,
            why="no process has more than it can call",
        )
        children[pid].suspend()
        try:
            eventually(
                lambda: _marked_anew(connection, messages) >= ENOUGH,
                seconds=PAST_A_LEASE,
                why="nobody took over what the process that stands still had marked",
            )
        finally:
            children[pid].resume()


def _fullest(
    connection: psycopg.Connection[Any], children: Mapping[int, psutil.Process], amount: int
) -> tuple[int, list[UUID]] | None:
    """A process with at least so many messages marked, and the messages."""
    rows = connection.execute(
        """select split_part(d.holder, '.', 2)::int, array_agg(m.id)
           from messages m join due_sends d on d.tenant_id = m.tenant_id and d.id = m.work_id
           where m.state = 'dispatching' group by 1 having count(*) >= %s""",
        [amount],
    ).fetchall()
    return next(((pid, messages) for pid, messages in rows if pid in children), None)


def _marked_anew(connection: psycopg.Connection[Any], messages: Sequence[UUID]) -> int:
    row = connection.execute(
        "select count(*) from messages where id = any(%s) and state = 'dispatching' and attempt > 1",
        [messages],
    ).fetchone()
    return int(row[0]) if row else 0


def _kill_doors(stack: Stack) -> None:
    stack.kill("engine.api")


def _kill_workers_of_events(stack: Stack) -> None:
    stack.kill("-Q events")


def _stop_postgres_at_once(stack: Stack) -> None:
    """As `pg_ctl stop -m immediate`: no checkpoint, recovery at the next start."""
    pid = int((_data_of(stack) / "postmaster.pid").read_text().splitlines()[0])
    os.kill(pid, signal.SIGQUIT)


def _kill_a_backend(stack: Stack) -> None:
    """One connection's process: PostgreSQL ends all the others and recovers."""
    with psycopg.connect(stack.database_url(), autocommit=True) as connection:
        row = connection.execute(
            "select pid from pg_stat_activity where usename = 'masteria_app' order by random() limit 1"
        ).fetchone()
    if row is not None:
        os.kill(row[0], signal.SIGKILL)


def _flush_valkey(stack: Stack) -> None:
    stack.valkey().flushall()


def _kill_valkey(stack: Stack) -> None:
    stack.kill("valkey-server")


def _cut_listeners(stack: Stack) -> None:
    """Every pub/sub connection: bells and live screens."""
    try:
        stack.valkey().execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    except redis.ConnectionError:
        return


def _restart_workers(stack: Stack) -> None:
    """SIGTERM, as a rolling restart sends it: what is under way ends first."""
    for process in stack.processes("-Q send"):
        if not _is_child(process):
            process.terminate()


def _kill_the_clock(stack: Stack) -> None:
    stack.kill("beat")


def _is_child(process: psutil.Process) -> bool:
    parent = process.parent()
    return parent is not None and "celery" in " ".join(parent.cmdline())


def _data_of(stack: Stack) -> Path:
    with psycopg.connect(stack.database_url(), autocommit=True) as connection:
        row = connection.execute("show data_directory").fetchone()
    assert row is not None
    return Path(row[0])


DEEDS: Mapping[str, Deed] = {
    deed.name: deed
    for deed in (
        Deed("F1 senders killed", _kill_senders, kills_senders=True),
        Deed("F2 a child of the pool killed", _kill_a_child, kills_senders=True),
        Deed("F3 senders frozen", _freeze_senders),
        Deed("F3 a sender frozen past its lease", freeze_one, kills_senders=True, is_long=True),
        Deed("F4 doors killed", _kill_doors),
        Deed("F4 workers of events killed", _kill_workers_of_events),
        Deed("F5 PostgreSQL stopped at once", _stop_postgres_at_once),
        Deed("F5 a backend killed", _kill_a_backend),
        Deed("F7 Valkey emptied", _flush_valkey),
        Deed("F8 Valkey killed", _kill_valkey),
        Deed("F15 the clock killed", _kill_the_clock),
        Deed("F18 senders restarted", _restart_workers),
        Deed("F25 listeners cut", _cut_listeners),
    )
}
