"""What people would run instead of the product, started on the product's own servers and measured the same way.

The peers are in `benchmarks/peers` (Node). They send to the same simulator and write to a database of their own in the
same PostgreSQL; their queue is in the same Valkey.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis

from benchmarks.meter import PEERS, of_peer
from engine.embedded.server import free_port
from tests.walks.stack import Stack

FOLDER = Path(__file__).parent / "peers"
WARM = 1_000  # messages before the clock starts: connections, caches, the compiler of Node
QUEUE = 9  # the peers' database in Valkey


@dataclass(frozen=True, slots=True)
class Peer:
    """One way of doing it: its worker and producer, how many workers, and what they are told."""

    name: str
    title: str
    worker: str
    producer: str
    messages: int
    workers: int = 2
    told: Mapping[str, str] = field(default_factory=dict)


SENDING: Sequence[Peer] = (
    Peer("bullmq", "BullMQ, one job per message", "per_message_worker.mjs", "per_message_produce.mjs", 8_000),
    Peer(
        "bullmq-batched",
        "BullMQ, undici, batched updates",
        "per_message_worker.mjs",
        "per_message_produce.mjs",
        12_000,
        told={"HTTP": "request", "WRITE": "batched"},
    ),
    Peer(
        "port",
        "The same design in Node",
        "port_worker.mjs",
        "port_produce.mjs",
        30_000,
        told={"HTTP": "request", "CONCURRENCY": "64"},
    ),
    Peer(
        "port-unmarked",
        "The same design in Node, no marks or policy",
        "port_worker.mjs",
        "port_produce.mjs",
        30_000,
        told={"HTTP": "request", "CONCURRENCY": "64", "MARKS": "none"},
    ),
)


def install() -> None:
    """The peers' packages, as their lockfile names them."""
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit(
            "This benchmark races Node programs: install Node 20 or newer with npm, then try again."
        )
    lock, kept = FOLDER / "package-lock.json", FOLDER / "node_modules" / ".installed.json"
    if not kept.exists() or kept.read_bytes() != lock.read_bytes():
        subprocess.run([npm, "ci", "--silent"], cwd=FOLDER, check=True)
        kept.write_bytes(lock.read_bytes())


@dataclass(frozen=True, slots=True)
class Servers:
    """The product's servers as the peers see them, and a number at the simulator."""

    stack: Stack
    database: str
    valkey: "redis.Redis"
    account: Mapping[str, Any]

    @classmethod
    def of(cls, stack: Stack) -> "Servers":
        """Make the peers' database and number."""
        with psycopg.connect(stack.database_url("postgres"), autocommit=True) as connection:
            connection.execute(f"create database {PEERS}")
        account = stack.simulator("POST", "/_admin/accounts", {"verified_name": "Peers", "rate": 1000})
        return cls(stack, stack.database_url(PEERS), stack.valkey(), account)

    def environment(self, run: str, told: Mapping[str, str]) -> dict[str, str]:
        """What a peer's processes are told."""
        given = self.valkey.connection_pool.connection_kwargs
        return {
            **os.environ,
            "DATABASE": self.database,
            "REDIS_PORT": str(given["port"]),
            "REDIS_PASSWORD": given.get("password") or "",
            "PROVIDER": f"{self.stack.simulator_url}/v25.0/{self.account['phone_number_id']}/messages",
            "TOKEN": self.account["access_token"],
            "RUN": run,
            "PORT": str(free_port()),
            **told,
        }


PEOPLE = """
insert into contacts (id) select g from generate_series(1, %(n)s) g;
"""
RECIPIENTS = """
insert into recipients (campaign_id, contact_id, phone, params)
select case when g <= %(warm)s then 1 else 2 end, g, '+55119' || lpad(g::text, 8, '0'),
       jsonb_build_object('body.1', 'Pessoa ' || g) from generate_series(1, %(n)s) g
"""


def race(servers: Servers, peer: Peer, messages: int) -> dict[str, Any]:
    """One measurement of a peer: from the word to begin until the last recipient stands as sent."""
    run = f"{peer.name}-{time.time_ns():x}"
    with psycopg.connect(servers.database, autocommit=True) as connection:
        connection.execute((FOLDER / "schema.sql").read_text())
        connection.execute(PEOPLE, {"n": messages + WARM})
        connection.execute(RECIPIENTS, {"n": messages + WARM, "warm": WARM})
        connection.execute("vacuum analyze")
        connection.execute("checkpoint")
        _empty_queue(servers)
        with _workers(servers, peer, run) as workers:
            _send(connection, servers, peer, run, 1)
            connection.execute("vacuum recipients")
            taken = _accepted(servers)
            before = of_peer(servers.stack, workers)
            seconds, producing = _send(connection, servers, peer, run, 2)
            used = {part: value - before[part] for part, value in of_peer(servers.stack, workers).items()}
            posts = _accepted(servers) - taken
            row = connection.execute(
                "select count(*), count(distinct provider_id) from recipients where campaign_id = 2 and state = 2"
            ).fetchone()
            assert row is not None
    used["Node"] += producing
    total = sum(used.values())
    return {
        "name": peer.name,
        "messages": messages,
        "valid": posts == row[0] == row[1] == messages,
        "posts": posts,
        "seconds": round(seconds, 2),
        "messages_per_second": round(messages / seconds),
        "cpu_us": round(total / messages * 1e6, 1),
        "cpu_us_by_part": {part: round(value / messages * 1e6, 1) for part, value in used.items()},
    }


def _empty_queue(servers: Servers) -> None:
    given = servers.valkey.connection_pool.connection_kwargs
    redis.Redis(port=given["port"], password=given.get("password"), db=QUEUE).flushdb()


def _accepted(servers: Servers) -> int:
    taken: int = servers.stack.simulator("GET", "/_admin/accepts/summary")["distinct_opaque"]
    return taken


@contextmanager
def _workers(servers: Servers, peer: Peer, run: str) -> Iterator[list[psutil.Process]]:
    environment = servers.environment(run, peer.told)
    started = [
        subprocess.Popen(
            ["node", peer.worker], cwd=FOLDER, env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(peer.workers)
    ]
    try:
        for process in started:
            until_ready(process)
        yield [psutil.Process(process.pid) for process in started]
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(10)


def _send(
    connection: psycopg.Connection[Any], servers: Servers, peer: Peer, run: str, campaign: int
) -> tuple[float, float]:
    """Send one campaign; answers the seconds it took, and the producer's CPU seconds from the word to begin."""
    producer = subprocess.Popen(
        ["node", peer.producer, str(campaign)],
        cwd=FOLDER,
        env=servers.environment(run, peer.told),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    until_ready(producer)
    watched = psutil.Process(producer.pid)
    loaded = used = _cpu(watched)
    assert producer.stdin is not None
    producer.stdin.write("begin\n")
    producer.stdin.flush()
    began = time.monotonic()
    left = True
    while left:
        time.sleep(0.1)
        used = max(used, _cpu(watched))
        left = bool(
            connection.execute(
                "select 1 from recipients where campaign_id = %s and state < 2 limit 1", (campaign,)
            ).fetchone()
        )
        if time.monotonic() - began > 300:
            raise SystemExit(f"{peer.name} has not ended within five minutes.")
    seconds = time.monotonic() - began
    producer.wait(10)
    return seconds, used - loaded


def _cpu(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def until_ready(process: "subprocess.Popen[str]") -> None:
    """Wait for a peer's word that it has loaded its code."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == "READY":
            return
    raise SystemExit("A peer ended before it was ready.")
