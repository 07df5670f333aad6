"""Receiving, raced: webhooks made durable and answered, and statuses applied to the messages that they are of.

    make bench-receive                        # five rounds
    make bench-receive ARGS="--rounds 7"

Taking: the intake against Express with one INSERT for each request, and against a bare server plus a batched INSERT;
64 connections, one process each, unique bodies of Meta's shape, signatures checked. A run counts only when rows =
answers, but for those that were under way when the clock stopped. CPU is that of the server, PostgreSQL and Valkey.
Applying: statuses of real messages, journalled while the workers stand still, then let go; PostgreSQL's part apart.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]
import psutil
import psycopg

from benchmarks import floor, peers
from benchmarks.hooks import CONNECTIONS, Posted, post, shuffled_by, status_body, write_signed
from benchmarks.meter import of_peer, of_product, read, spent
from benchmarks.report import write_report
from benchmarks.send import NUMBERS, Product
from engine.core.ids import uuid7
from engine.embedded.server import free_port
from tests.walks.stack import Stack, running_apart

SECONDS = 5
BODIES = 200_000  # more than can be answered in that time
STATUSES = ("sent", "delivered", "read")
GOALS = {"express": 4.0}  # CPU of the peer over the product's, at least
FLOOR_GOAL = 1.6
MOST_US_OF_POSTGRES = 20.0
LEAST_PER_SECOND = 15_000
BATCH = CONNECTIONS  # as many as can come together


def bodies_of_nobody(account: Mapping[str, Any], amount: int) -> list[bytes]:
    """Statuses of messages that nobody sent: taking is the same for them."""
    run = uuid4().hex[:12]
    now = int(time.time())
    return [
        status_body(account, f"wamid.HBgN{run}{number:012d}FQIAERgS", str(uuid4()), "delivered", now)
        for number in range(amount)
    ]


@contextmanager
def standing_still(stack: Stack) -> Iterator[None]:
    """The workers of webhooks do nothing meanwhile, so that taking is measured apart from understanding."""
    held = [process for process in stack.processes("-Q events") if "celery" in " ".join(process.cmdline())]
    for process in held:
        process.suspend()
    try:
        yield
    finally:
        for process in held:
            process.resume()


class Race:
    """The product and its peers, with what each round needs."""

    def __init__(self, stack: Stack, messages: int) -> None:
        self.stack, self.folder = stack, stack.home
        self.product = Product.on(stack, messages)
        peers.install()
        self.servers = peers.Servers.of(stack)
        self.accounts = {
            one["phone_number_id"]: one for one in stack.simulator("GET", "/_admin/accounts")["items"]
        }
        self.superuser = stack.database_url()
        with psycopg.connect(self.superuser) as connection:
            rows = connection.execute("select account, channel_id, tenant_id from channel_routes").fetchall()
        self.places = {account: (channel, tenant) for account, channel, tenant in rows}
        number, (self.channel, _) = next(iter(self.places.items()))
        self.account = self.accounts[number]
        self.file = stack.home / "hooks.txt"

    def new_bodies(self) -> None:
        """Bodies that no table has seen."""
        bodies = bodies_of_nobody(self.account, BODIES)
        write_signed(self.file, self.account["app_secret"], bodies)

    def product_takes(self) -> dict[str, Any]:
        """The intake, as it runs."""
        self.new_bodies()
        with standing_still(self.stack), psycopg.connect(self.superuser, autocommit=True) as connection:
            connection.execute("truncate webhook_journal, webhook_due")
            connection.execute("checkpoint")
            before = read(self.stack)
            posted = self._post(self.stack.api_url, f"/hooks/whatsapp_cloud/{self.channel}")
            used = spent(before, read(self.stack))
            rows = _count(connection, "webhook_journal")
            connection.execute("truncate webhook_journal, webhook_due")
        parts = {part: used.get(part, 0.0) for part in ("api", "PostgreSQL", "Valkey")}
        return _taken("product", posted, rows, parts)

    def express_takes(self) -> dict[str, Any]:
        """Express with one INSERT for each request."""
        self.new_bodies()
        environment = self.servers.environment("express", {"APP_SECRET": self.account["app_secret"]})
        with psycopg.connect(self.servers.database, autocommit=True) as connection:
            connection.execute((peers.FOLDER / "schema.sql").read_text())
            connection.execute("checkpoint")
            process = subprocess.Popen(
                ["node", "express.mjs"], cwd=peers.FOLDER, env=environment, stdout=subprocess.PIPE, text=True
            )
            try:
                peers.until_ready(process)
                watched = [psutil.Process(process.pid)]
                before = of_peer(self.stack, watched)
                posted = self._post(f"http://127.0.0.1:{environment['PORT']}", "/hooks")
                used = {part: value - before[part] for part, value in of_peer(self.stack, watched).items()}
                rows = _count(connection, "webhook_events")
            finally:
                process.terminate()
                process.wait(10)
        return _taken("express", posted, rows, used)

    def floor_takes(self) -> dict[str, Any]:
        """A bare server, and a batched INSERT of as many bodies."""
        self.new_bodies()
        port = free_port()
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "uvicorn",
                "benchmarks.bare:app",
                "--port",
                str(port),
                "--no-access-log",
                "--log-level",
                "warning",
            ]
        )
        try:
            _until_listening(port)
            watched = psutil.Process(process.pid)
            before = watched.cpu_times()
            posted = self._post(f"http://127.0.0.1:{port}", "/")
            after = watched.cpu_times()
        finally:
            process.terminate()
            process.wait(10)
        bare = (after.user + after.system - before.user - before.system) / posted.answered * 1e6
        insert = asyncio.run(self._insert())
        parts = {"bare server": round(bare, 1), "batched insert": round(insert, 1)}
        return {"name": "floor", "cpu_us": round(bare + insert, 1), "cpu_us_by_part": parts}

    async def _insert(self) -> float:
        """CPU microseconds of PostgreSQL and of the driver for one row of the journal, in batches."""
        bodies = [
            line.split(b" ", 1)[1].rstrip(b"\n") for line in self.file.read_bytes().splitlines()[:20_000]
        ]
        connection = await asyncpg.connect(self.servers.database)
        channel, tenant = uuid4(), uuid4()
        await connection.execute("drop table if exists taken")
        await connection.execute(
            """create table taken (id uuid primary key, channel_id uuid not null, tenant_id uuid,
                 received_at timestamptz not null, body bytea not null, digest bytea not null,
                 unique (channel_id, digest))"""
        )
        await connection.execute("checkpoint")
        me = psutil.Process()
        server, ours = of_peer(self.stack, []), me.cpu_times()
        for start in range(0, len(bodies), BATCH):
            some = bodies[start : start + BATCH]
            await connection.execute(
                """insert into taken (id, channel_id, tenant_id, received_at, body, digest)
                   select u.id, $2, $3, now(), u.body, u.digest
                   from unnest($1::uuid[], $4::bytea[], $5::bytea[]) u(id, body, digest) on conflict do nothing""",
                [uuid7() for _ in some],
                channel,
                tenant,
                some,
                [hashlib.sha256(body).digest() for body in some],
            )
        used = of_peer(self.stack, [])["PostgreSQL"] - server["PostgreSQL"]
        then = me.cpu_times()
        await connection.execute("drop table taken")
        await connection.close()
        return (used + then.user + then.system - ours.user - ours.system) / len(bodies) * 1e6

    def _post(self, base: str, path: str) -> Posted:
        return post(self.folder, self.file, base, path, SECONDS)

    def product_applies(self) -> dict[str, Any]:
        """Statuses of a campaign that has just gone out: journalled first, then understood by the workers."""
        run = self.product.send()
        keys = self._messages()
        now = int(time.time())
        words = [
            status_body(account, wamid, key, status, now)
            for status in STATUSES
            for account, wamid, key in keys
        ]
        # Three words on each message, some thousand others between them, the later ones later.
        order = shuffled_by(len(words), lag=len(keys) // 2)
        with standing_still(self.stack), psycopg.connect(self.superuser, autocommit=True) as connection:
            connection.execute("truncate webhook_journal, webhook_due")
            self._journal(connection, [words[number] for number in order])
            connection.execute("checkpoint")
            before = read(self.stack)
            began = time.monotonic()
        with psycopg.connect(self.superuser, autocommit=True) as connection:
            while connection.execute("select 1 from webhook_due limit 1").fetchone():
                time.sleep(0.05)
            seconds = time.monotonic() - began
            used = spent(before, read(self.stack))
            row = connection.execute(
                """select count(*) filter (where state = 'read' and sent_at is not null and delivered_at is not null)
                   from messages where direction = 'out' and accepted_at > now() - interval '10 minutes'
                     and id = any(%s)""",
                ([key for _, _, key in keys],),
            ).fetchone()
        assert row is not None
        statuses = len(words)
        return {
            "name": "apply",
            "statuses": statuses,
            "valid": row[0] == len(keys) and run["valid"],
            "seconds": round(seconds, 2),
            "per_second": round(statuses / seconds),
            "cpu_us": round(of_product(used) / statuses * 1e6, 1),
            "postgres_us": round(used["PostgreSQL"] / statuses * 1e6, 1),
            "cpu_us_by_part": {part: round(v / statuses * 1e6, 1) for part, v in sorted(used.items()) if v},
        }

    def _messages(self) -> list[tuple[dict[str, Any], str, str]]:
        """Account, provider id and key of the messages of the last run."""
        with psycopg.connect(self.superuser) as connection:
            rows = connection.execute(
                """select c.account, m.provider_id, m.id::text from messages m join channels c on c.id = m.channel_id
                   where m.state = 'accepted' order by m.id"""
            ).fetchall()
        return [(self.accounts[account], wamid, key) for account, wamid, key in rows]

    def _journal(self, connection: psycopg.Connection[Any], bodies: Sequence[bytes]) -> None:
        """Put webhooks into the journal as the intake does; each at the channel of its number."""
        with (
            connection.cursor() as cursor,
            cursor.copy("copy webhook_journal (id, channel_id, tenant_id, body, digest) from stdin") as copy,
        ):
            for body in bodies:
                account = json.loads(body)["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"]
                channel, tenant = self.places[account]
                copy.write_row((uuid7(), channel, tenant, body, hashlib.sha256(body).digest()))
        connection.execute(
            "insert into webhook_due (channel_id, id) select channel_id, id from webhook_journal"
        )


def _taken(name: str, posted: Posted, rows: int, used: dict[str, float]) -> dict[str, Any]:
    return {
        "name": name,
        "answered": posted.answered,
        "rows": rows,
        # What was under way when wrk stopped is durable and was not counted as answered.
        "valid": posted.errors == 0 and 0 <= rows - posted.answered <= CONNECTIONS,
        "per_second": round(posted.answered / posted.seconds),
        "p50_ms": posted.p50_ms,
        "p99_ms": posted.p99_ms,
        "cpu_us": round(sum(used.values()) / posted.answered * 1e6, 1),
        "cpu_us_by_part": {part: round(value / posted.answered * 1e6, 1) for part, value in used.items()},
    }


def _count(connection: psycopg.Connection[Any], table: str) -> int:
    row = connection.execute(f"select count(*) from {table}").fetchone()  # noqa: S608 - our own tables
    assert row is not None
    return int(row[0])


def _until_listening(port: int) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise SystemExit("The bare server did not start.")


def race(stack: Stack, messages: int, rounds: int) -> dict[str, Any]:
    """All contenders, one after the other, so many times; then the applying."""
    one = Race(stack, messages)
    one.product_takes()  # so that the process is warm, as Node's compiler is after its first thousands
    done = []
    for number in range(rounds):
        runs = [one.product_takes(), one.express_takes(), one.floor_takes(), one.product_applies()]
        done.append(runs)
        for run in runs:
            print(json.dumps({"round": number + 1} | run), flush=True)
    return {"machine": floor.machine(), "rounds": done, **summary(done)}


def summary(rounds: Sequence[Sequence[dict[str, Any]]]) -> dict[str, Any]:
    """The median of each round's ratio of CPU, and whether each goal is reached."""
    by_round = [{run["name"]: run for run in runs} for runs in rounds]
    express = statistics.median(runs["express"]["cpu_us"] / runs["product"]["cpu_us"] for runs in by_round)
    over_floor = statistics.median(runs["product"]["cpu_us"] / runs["floor"]["cpu_us"] for runs in by_round)
    p99 = statistics.median(runs["product"]["p99_ms"] for runs in by_round)
    rate = statistics.median(runs["apply"]["per_second"] for runs in by_round)
    postgres = statistics.median(runs["apply"]["postgres_us"] for runs in by_round)
    return {
        "valid": all(run.get("valid", True) for runs in rounds for run in runs),
        "express_over_product": round(express, 2),
        "product_over_floor": round(over_floor, 2),
        "p99_ms": p99,
        "statuses_per_second": rate,
        "postgres_us_per_status": postgres,
        "reached": {
            "express": express >= GOALS["express"],
            "floor": over_floor <= FLOOR_GOAL,
            "p99": p99 <= 50,
            "statuses_per_second": rate >= LEAST_PER_SECOND,
            "postgres_us_per_status": postgres <= MOST_US_OF_POSTGRES,
        },
    }


def main() -> None:
    """Race and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--report", type=Path, help="write a table and a picture to this folder")
    given = parser.parse_args()
    with running_apart() as stack:
        found = race(stack, given.messages - given.messages % NUMBERS, given.rounds)
    if given.report:
        write_report(given.report, "receiving", found)
    print(json.dumps({key: value for key, value in found.items() if key != "rounds"}, indent=2))


if __name__ == "__main__":
    main()
