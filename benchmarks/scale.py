"""How cost grows: more sending processes, numbers, companies and rows, each alone while all else stays as it is.

    make bench-scale                                     # some ten minutes
    make bench-scale ARGS="--messages 40000 --rows 4000000 --report docs/benchmarks"

A step is the same messages sent once more, measured as `make bench-send` measures them: CPU of a message over all
processes but the simulator, audiences written before. More processes are more workers of the same queue, as on more
machines; here they share the cores of one, so what is seen is what they cost, not what they bring.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from benchmarks import floor
from benchmarks.meter import of_product, read, spent
from benchmarks.send import accepts, start_campaign
from tests.walks.stack import (
    PASSWORD,
    ROOT,
    Stack,
    approved_template,
    eventually,
    import_people,
    running_apart,
    sandbox_channel,
)

LOOKS = 15  # of each page; the median counts
AT_ONCE = 50_000  # old rows written by one statement

# Old messages are copies of one that was sent: as wide as the others, from this month, each with its provider's id.
_OLD_ROWS = """
with one as (select * from messages where direction = 'out' and state = 'accepted' limit 1),
made as (
  insert into messages (tenant_id, id, {columns})
  select tenant_id, uuidv7(-random() * (now() - date_trunc('month', now()))), {columns}
  from one cross join generate_series(1, %(n)s)
  returning tenant_id, channel_id, id
)
insert into provider_messages (tenant_id, channel_id, provider_id, message_id)
select tenant_id, channel_id, 'old.' || id, id from made
"""


@dataclass(frozen=True, slots=True)
class Sender:
    """A number of a company, with whom it writes to."""

    api: httpx.Client
    channel_id: str
    template_id: str
    import_id: str


@dataclass(frozen=True, slots=True)
class Scene:
    """A running product."""

    stack: Stack
    messages: int

    def company(self, number: int) -> httpx.Client:
        """A new company, signed in."""
        slug, email = f"loja-{number}", f"dona{number}@walk.example"
        self.stack.cli("company", "create", f"Loja {number}")
        self.stack.cli("user", "create", email, "--company", slug, "--role", "owner", "--password-stdin")
        return self.stack.sign_in(email, PASSWORD)

    def sender(self, api: httpx.Client, import_id: str) -> Sender:
        """A new number of this company."""
        channel = sandbox_channel(self.stack, api)["id"]
        return Sender(api, channel, approved_template(self.stack, api, channel), import_id)

    def asked(self, question: str, **values: Any) -> list[Any]:
        """Rows of a question to the database."""
        with psycopg.connect(self.stack.database_url(), autocommit=True) as connection:
            return connection.execute(question, values).fetchall()  # type: ignore[call-overload,no-any-return]

    def send(self, senders: Sequence[Sender], extra: Sequence[psutil.Process] = ()) -> dict[str, Any]:
        """All messages by these numbers, an equal share each: CPU of a message, and how many a second."""
        self.stack.simulator("POST", "/_admin/scenario", {"name": "fast"})
        taken = accepts(self.stack)
        campaigns = []
        for one in senders:
            campaign = start_campaign(one.api, one.channel_id, one.template_id, one.import_id)
            one.api.post(
                f"/v1/campaigns/{campaign}/pause"
            ).raise_for_status()  # at once: few people are soon written to
            campaigns.append((one.api, campaign))
        share = self.messages // len(senders)
        eventually(
            lambda: all(
                (seen := api.get(f"/v1/campaigns/{campaign}").json())["status"] == "paused"
                and seen["counts"]["total"] == share
                for api, campaign in campaigns
            ),
            seconds=300,
        )
        early = accepts(self.stack)[0] - taken[0]
        before, began = read(self.stack, extra), time.monotonic()
        for api, campaign in campaigns:
            api.post(f"/v1/campaigns/{campaign}/resume").raise_for_status()
        eventually(
            lambda: not self.asked("select 1 from campaigns where status <> 'completed' limit 1"), seconds=600
        )
        seconds, after = time.monotonic() - began, read(self.stack, extra)
        posts, distinct = (now - then for now, then in zip(accepts(self.stack), taken, strict=True))
        used, sent = spent(before, after), posts - early
        return {
            "cpu_us": round(of_product(used) / sent * 1e6, 1),
            "of_postgres_us": round(used["PostgreSQL"] / sent * 1e6, 1),
            "messages_per_second": round(sent / seconds),
            "valid": posts == distinct == share * len(senders),
        }

    @contextmanager
    def more_processes(self, amount: int) -> Iterator[list[psutil.Process]]:
        """So many sending processes besides those that are there, for the length of a block."""
        started = [self._worker(number) for number in range(amount // 2)]
        try:
            ready = {
                name: eventually(lambda name=name: self.stack.processes(name), seconds=60)  # type: ignore[misc]
                for name, _ in started
            }
            time.sleep(8)  # a worker says nothing that can be asked before it takes its first range
            yield [process for found in ready.values() for process in found]
        finally:
            for _, worker in started:
                worker.terminate()
            for _, worker in started:
                worker.wait(30)

    def _worker(self, number: int) -> tuple[str, subprocess.Popen[bytes]]:
        name = f"more{number}@%h"
        command = (
            *(
                sys.executable,
                "-m",
                "celery",
                "-A",
                "engine.scheduler.app",
                "worker",
                "-Q",
                "send",
                "-n",
                name,
            ),
            *("--concurrency", "2", "--loglevel", "WARNING", "--without-gossip", "--without-mingle"),
        )
        log = (self.stack.home / "more.txt").open("ab")
        return name, subprocess.Popen(command, cwd=ROOT, env=self.stack.environment, stdout=log, stderr=log)

    def add_old_rows(self, amount: int) -> None:
        """Messages of this month that have had their day."""
        columns = ", ".join(
            name
            for (name,) in self.asked(
                "select column_name from information_schema.columns where table_name = 'messages'"
                " and column_name not in ('tenant_id', 'id') order by 1"
            )
        )
        with psycopg.connect(self.stack.database_url(), autocommit=True) as connection:
            for _ in range(amount // AT_ONCE):
                connection.execute(_OLD_ROWS.format(columns=columns), {"n": AT_ONCE})  # type: ignore[arg-type]
            connection.execute("vacuum analyze messages")

    def pages(self, api: httpx.Client) -> dict[str, float]:
        """Milliseconds of what people look at most."""
        [campaign] = api.get("/v1/campaigns", params={"limit": 1}).json()["items"]
        paths = {
            "campaign_ms": f"/v1/campaigns/{campaign['id']}",
            "recipients_ms": f"/v1/campaigns/{campaign['id']}/recipients",
            "overview_ms": "/v1/analytics/overview",
        }
        return {name: self._milliseconds(api, path) for name, path in paths.items()}

    @staticmethod
    def _milliseconds(api: httpx.Client, path: str) -> float:
        times = []
        for _ in range(LOOKS):
            began = time.perf_counter()
            api.get(path).raise_for_status()
            times.append((time.perf_counter() - began) * 1000)
        return round(statistics.median(times), 1)


def measure(scene: Scene, rows: int, companies: int) -> Iterator[dict[str, Any]]:
    """Every step, one axis after the other; the first of each is the same scene: one company, eight numbers."""
    api = scene.company(0)
    import_id = import_people(api, scene.messages // 8)
    eight = [scene.sender(api, import_id) for _ in range(8)]
    scene.send(eight)  # so that its processes are warm

    def step(axis: str, size: int, send: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        return {"axis": axis, "size": size, **send()}

    for more in (0, 2, 6):
        with scene.more_processes(more) as extra:
            yield step("sending processes", 2 + more, lambda extra=extra: scene.send(eight, extra))  # type: ignore[misc]

    few = import_people(api, scene.messages // 40, first=scene.messages)
    forty = [Sender(one.api, one.channel_id, one.template_id, few) for one in eight]
    forty += [scene.sender(api, few) for _ in range(32)]
    yield step("numbers", 8, lambda: scene.send(eight))
    yield step("numbers", 40, lambda: scene.send(forty))

    others = [scene.company(number + 1) for number in range(companies)]
    apart = [scene.sender(other, import_people(other, scene.messages // companies)) for other in others]
    yield step("companies", 1, lambda: scene.send(eight))
    yield step("companies", companies, lambda: scene.send(apart))

    for present, more in ((0, 0), (rows // 4, rows // 4), (rows, rows - rows // 4)):
        scene.add_old_rows(more)
        yield step("old rows", present, lambda: scene.send(eight) | scene.pages(api))


def as_markdown(steps: Sequence[dict[str, Any]]) -> str:
    """The steps as a table; what each costs beside the first of its axis."""
    lines = [
        "| what grows | to | CPU µs a message | of it PostgreSQL | beside the first | pages, ms |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    first: dict[str, float] = {}
    for one in steps:
        base = first.setdefault(one["axis"], one["cpu_us"])
        pages = ", ".join(f"{name[:-3]} {value:.0f}" for name, value in one.items() if name.endswith("_ms"))
        lines.append(
            f"| {one['axis']} | {one['size']:,} | {one['cpu_us']:.0f} | {one['of_postgres_us']:.0f} "
            f"| {one['cpu_us'] / base:.2f}× | {pages} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print each step as it ends, and write the report where one is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=40_000)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--companies", type=int, default=20)
    parser.add_argument("--report", type=Path, help="write scaling.md and scaling.json to this folder")
    given = parser.parse_args()
    steps = []
    with running_apart() as stack:
        for one in measure(Scene(stack, given.messages), given.rows, given.companies):
            print(json.dumps(one), flush=True)
            steps.append(one)
    if given.report:
        found = {"machine": floor.machine(), "messages": given.messages, "steps": steps}
        (given.report / "scaling.json").write_text(json.dumps(found, indent=1) + "\n")
        (given.report / "scaling.md").write_text(as_markdown(steps))
    if not all(one["valid"] for one in steps):
        raise SystemExit("In a step the posts were not the messages: these figures do not count.")


if __name__ == "__main__":
    main()
