"""Sending, raced: the product, what people would run instead, and the least that it can cost, in one interleaved run.

    make bench-send                                    # five rounds of everything
    make bench-send ARGS="--only product"              # the product alone, once
    make bench-send ARGS="--messages 100000 --rounds 7"

Everything is the product as `masteria up` starts it, with its marks, its policy and its rendering in. CPU is that of all
processes of a contender, of PostgreSQL and of Valkey; the simulator plays the provider and is not counted. A run counts
only when rows = distinct provider ids = posts that the provider took. Ratios are those of neighbours in one round.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from benchmarks import floor, peers
from benchmarks.meter import of_product, read, spent
from benchmarks.report import write_report
from tests.walks.stack import Stack, approved_template, import_people, running_apart, sandbox_channel

NUMBERS = 12  # the most that one number may send is 1,000 a second, which must not be what is measured
GOALS = {"bullmq": 12.0, "bullmq-batched": 3.5, "port": 1.0}  # CPU of the peer over the product's, at least
FLOOR_GOAL = 4.0  # CPU of the product over the floor, at most


def start_campaign(api: httpx.Client, channel_id: str, template_id: str, import_id: str) -> str:
    """A campaign to everyone of an import, started."""
    body = {
        "name": "bench",
        "channel_id": channel_id,
        "template_id": template_id,
        "audience": {"import_id": import_id},
        "variables": {"body.1": "contact.name"},
    }
    campaign_id: str = api.post("/v1/campaigns", json=body).json()["id"]
    answer = api.post(f"/v1/campaigns/{campaign_id}/start")
    if answer.status_code != 200:
        raise SystemExit(answer.text)
    return campaign_id


def look(api: httpx.Client, campaigns: Sequence[str]) -> list[dict[str, Any]]:
    """These newest campaigns as they stand; one question, as asking costs the product's own time."""
    items = api.get("/v1/campaigns", params={"limit": len(campaigns)}).json()["items"]
    return [one for one in items if one["id"] in campaigns]


def wait(api: httpx.Client, campaigns: Sequence[str]) -> list[dict[str, Any]]:
    """The campaigns, once all have ended."""
    while any(one["status"] != "completed" for one in look(api, campaigns)):
        time.sleep(2.0)
    return look(api, campaigns)


def accepts(stack: Stack) -> tuple[int, int]:
    """How many posts the provider has taken, and of how many messages."""
    summary = stack.simulator("GET", "/_admin/accepts/summary")
    return summary["accepted"], summary["distinct_opaque"]


@dataclass(frozen=True, slots=True)
class Product:
    """A running product with numbers, an approved template on each, and people to write to."""

    stack: Stack
    api: httpx.Client
    numbers: Sequence[tuple[str, str]]  # channel, template
    import_id: str
    messages: int

    @classmethod
    def on(cls, stack: Stack, messages: int) -> "Product":
        """Set up a company that can send so many messages at once, as many from each number."""
        api = stack.company()
        channels = [sandbox_channel(stack, api)["id"] for _ in range(NUMBERS)]
        numbers = [(channel, approved_template(stack, api, channel)) for channel in channels]
        import_id = import_people(api, messages // NUMBERS)
        stack.simulator("POST", "/_admin/scenario", {"name": "fast"})
        time.sleep(3)
        return cls(stack, api, numbers, import_id, messages - messages % NUMBERS)

    def send(self, before: Callable[[], None] = lambda: None) -> dict[str, Any]:
        """One measurement: the audiences are written first and told apart, as the peers' rows are there as well.

        `before` is called just before the sending begins.
        """
        at_first = read(self.stack)
        taken = accepts(self.stack)
        campaigns = [start_campaign(self.api, *number, self.import_id) for number in self.numbers]
        self._freeze(campaigns)
        early = sum(one["counts"]["accepted"] for one in look(self.api, campaigns))
        before()
        at_start, began = read(self.stack), datetime.now(UTC)
        for campaign in campaigns:
            self.api.post(f"/v1/campaigns/{campaign}/resume").raise_for_status()
        seen = wait(self.api, campaigns)
        after = read(self.stack)
        seconds = (max(datetime.fromisoformat(one["completed_at"]) for one in seen) - began).total_seconds()
        posts, distinct = (now - then for now, then in zip(accepts(self.stack), taken, strict=True))
        accepted = sum(one["counts"]["accepted"] for one in seen)
        sent = accepted - early
        used = spent(at_start, after)
        return {
            "name": "product",
            "messages": accepted,
            "valid": accepted == posts == distinct == self.messages,
            "posts": posts,
            "seconds": round(seconds, 2),
            "messages_per_second": round(sent / seconds),
            "cpu_us": round(of_product(used) / sent * 1e6, 1),
            "cpu_us_by_part": {
                part: round(value / sent * 1e6, 1) for part, value in sorted(used.items()) if value
            },
            "cpu_us_of_writing_the_audience": round(
                of_product(spent(at_first, at_start)) / accepted * 1e6, 1
            ),
            "memory_mb": {part: round(size / 1e6) for part, size in sorted(after.memory.items())},
        }

    def _freeze(self, campaigns: Sequence[str]) -> None:
        """Pause them at once and wait until all their audiences are written."""
        for campaign in campaigns:
            self.api.post(f"/v1/campaigns/{campaign}/pause").raise_for_status()
        people = self.messages // NUMBERS
        while any(
            one["status"] != "paused" or one["counts"]["total"] < people for one in look(self.api, campaigns)
        ):
            time.sleep(0.5)


def race(stack: Stack, messages: int, rounds: int, only: str | None) -> dict[str, Any]:
    """All contenders, one after the other, so many times."""
    product = Product.on(stack, messages)
    if only == "product":
        return {"rounds": [[product.send()]]}
    peers.install()
    servers = peers.Servers.of(stack)
    product.send()  # so that its processes are warm, as those of the peers are
    done: list[list[dict[str, Any]]] = []
    for number in range(rounds):
        runs = [product.send(), floor.measure(servers)]
        runs += [peers.race(servers, peer, peer.messages) for peer in peers.SENDING]
        done.append(runs)
        for run in runs:
            print(
                json.dumps({"round": number + 1} | {k: v for k, v in run.items() if k != "memory_mb"}),
                flush=True,
            )
    return {"machine": floor.machine(), "rounds": done, **summary(done)}


def summary(rounds: Sequence[Sequence[dict[str, Any]]]) -> dict[str, Any]:
    """The median of each round's ratio of CPU, and whether each goal is reached."""
    ratios: dict[str, list[float]] = {}
    for runs in rounds:
        by_name = {run["name"]: run for run in runs}
        ours = by_name["product"]["cpu_us"]
        for name, run in by_name.items():
            if name != "product":
                ratios.setdefault(name, []).append(round(run["cpu_us"] / ours, 2))
    medians = {name: statistics.median(values) for name, values in ratios.items()}
    over_the_floor = statistics.median(1 / value for value in ratios["floor"])
    return {
        "valid": all(run.get("valid", True) for runs in rounds for run in runs),
        "ratios": ratios,
        "median": medians,
        "product_over_floor": round(over_the_floor, 2),
        "reached": {name: medians[name] >= goal for name, goal in GOALS.items()}
        | {"floor": over_the_floor <= FLOOR_GOAL},
    }


def main() -> None:
    """Race and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=96_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["product"])
    parser.add_argument("--report", type=Path, help="write a table and a picture to this folder")
    given = parser.parse_args()
    with running_apart() as stack:
        found = race(stack, given.messages - given.messages % NUMBERS, given.rounds, given.only)
    if given.report and "ratios" in found:
        write_report(given.report, "sending", found)
    print(json.dumps({key: value for key, value in found.items() if key != "rounds" or given.only}, indent=2))


if __name__ == "__main__":
    main()
