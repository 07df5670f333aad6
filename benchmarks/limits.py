"""What the product bears on this machine: a slow provider, replies beside a blast, a large audience, memory.

    make bench-limits                                   # some five minutes
    make bench-limits ARGS="--messages 100000 --people 1000000"

Each figure stands beside its goal. The provider is the simulator, on the same cores as the product.
"""

import argparse
import json
import statistics
import threading
import time
from collections.abc import Sequence
from typing import Any

import httpx
import psutil
import psycopg

from benchmarks.meter import of_product, read, spent
from benchmarks.send import Product, look, start_campaign, wait
from tests.walks.stack import Stack, approved_template, eventually, running_apart, sandbox_channel

LATENCY = 0.080  # seconds
WRITERS = 24  # people who wrote first, so that free text may go to them
REPLIES = 120
BETWEEN_REPLIES = 0.15

_PEOPLE = """
with made as (
  insert into contacts (tenant_id, id, name, phone, marketing_consent)
  select %(tenant)s, uuidv7(), 'Pessoa ' || n, '+5521' || 900000000 + n, 'granted' from generate_series(1, %(n)s) n
  returning id, phone
), known as (
  insert into contact_identities (tenant_id, id, contact_id, kind, value)
  select %(tenant)s, uuidv7(), id, 'phone', phone from made
)
insert into contact_tags (tenant_id, contact_id, tag) select %(tenant)s, id, 'multidao' from made
"""


def slow_provider(product: Product) -> dict[str, Any]:
    """Messages per second while each answer takes 80 ms."""
    span = [LATENCY, LATENCY]
    product.stack.simulator("POST", "/_admin/scenario", {"name": "fast", "answer_after": span})
    found = product.send()
    product.stack.simulator("POST", "/_admin/scenario", {"name": "fast"})
    return {
        "latency_ms": LATENCY * 1000,
        "messages_per_second": found["messages_per_second"],
        "goal": 3_000,
        "cpu_us": found["cpu_us"],
        "valid": found["valid"],
    }


def talk(product: Product) -> tuple[str, list[str]]:
    """A number with conversations that are open: its id at the provider, and the threads."""
    stack, api = product.stack, product.api
    stack.simulator("POST", "/_admin/scenario", {"name": "quick"})
    number = sandbox_channel(stack, api)["phone_number_id"]
    for person in range(WRITERS):
        phone = f"+55119{30_000_000 + person:08d}"
        stack.simulator(
            "POST", "/_admin/inbound", {"phone_number_id": number, "from": phone, "text": "Quanto custa?"}
        )
    threads = eventually(
        lambda: (
            found if len(found := api.get("/v1/conversations?limit=100").json()["items"]) == WRITERS else None
        )
    )
    stack.simulator("POST", "/_admin/scenario", {"name": "fast"})
    return number, [thread["id"] for thread in threads]


def replies_beside_a_blast(product: Product, number: str, threads: Sequence[str]) -> dict[str, Any]:
    """Milliseconds from an agent's POST until the provider has taken the reply, while campaigns run at full speed."""
    campaigns = [start_campaign(product.api, *one, product.import_id) for one in product.numbers]
    eventually(lambda: sum(one["counts"]["accepted"] for one in look(product.api, campaigns)) > 2_000)
    began: dict[str, float] = {}
    for turn in range(REPLIES):
        path = f"/v1/conversations/{threads[turn % len(threads)]}/messages"
        at = time.time()
        answer = product.api.post(path, json={"text": f"Resposta {turn}"})
        answer.raise_for_status()
        began[answer.json()["id"]] = at * 1000
        time.sleep(BETWEEN_REPLIES)
    left = sum(one["counts"]["queued"] for one in look(product.api, campaigns))
    wait(product.api, campaigns)
    taken = {one["opaque"]: one["at"] for one in product.stack.accepts(number)}
    times = sorted(taken[key] - at for key, at in began.items())
    p99 = statistics.quantiles(times, n=100)[-1]
    return {
        "replies": len(times),
        "p50_ms": round(statistics.median(times)),
        "p99_ms": round(p99),
        "goal_p99_ms": 300,
        "still_queued_at_the_last": left,
    }


class Memory(threading.Thread):
    """Looks every second at the memory of each sending process, until told to stop."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(daemon=True)
        self._stack = stack
        self._ended = threading.Event()
        self.most: dict[int, int] = {}

    def run(self) -> None:
        """Look."""
        while not self._ended.wait(1.0):
            for process in self._stack.processes("-Q send"):
                try:
                    used = process.memory_full_info()
                except psutil.Error:
                    continue
                self.most[process.pid] = max(self.most.get(process.pid, 0), used.rss)

    def stop(self) -> dict[str, Any]:
        """The most that any of them had."""
        self._ended.set()
        self.join()
        return {"worker_mb": round(max(self.most.values()) / 1e6), "goal_mb": 200}


def large_audience(product: Product, people: int) -> dict[str, Any]:
    """Seconds to write down an audience, and until its first message was taken; the contacts are made by SQL."""
    tenant = product.api.get("/v1/me").json()["company"]["id"]
    with psycopg.connect(product.stack.database_url(), autocommit=True) as connection:
        connection.execute(_PEOPLE, {"tenant": tenant, "n": people})
        connection.execute("analyze contacts, contact_identities, contact_tags")
    channel = sandbox_channel(product.stack, product.api)
    template_id = approved_template(product.stack, product.api, channel["id"], name="multidao")
    body = {
        "name": "multidao",
        "channel_id": channel["id"],
        "template_id": template_id,
        "audience": {"tags": ["multidao"]},
        "variables": {"body.1": "contact.name"},
    }
    path = f"/v1/campaigns/{product.api.post('/v1/campaigns', json=body).json()['id']}"
    before, began = read(product.stack), time.monotonic()
    product.api.post(f"{path}/start").raise_for_status()
    eventually(lambda: product.api.get(path).json()["counts"]["accepted"], seconds=30)
    first = time.monotonic() - began
    product.api.post(f"{path}/pause").raise_for_status()
    eventually(lambda: product.api.get(path).json()["counts"]["total"] == people, seconds=600)
    seconds = time.monotonic() - began
    used = of_product(spent(before, read(product.stack)))
    product.api.post(f"{path}/cancel").raise_for_status()
    return {
        "people": people,
        "seconds": round(seconds, 1),
        "goal_seconds": 60 * people / 1_000_000,
        "cpu_us_a_person": round(used / people * 1e6, 1),
        "first_message_after_seconds": round(first, 2),
        "goal_first_seconds": 2,
    }


def main() -> None:
    """Measure all and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--people", type=int, default=200_000)
    given = parser.parse_args()
    with running_apart() as stack:
        product = Product.on(stack, given.messages)
        memory = Memory(stack)
        memory.start()
        number, threads = talk(product)
        for name, measure in (
            ("replies beside a blast", lambda: replies_beside_a_blast(product, number, threads)),
            ("slow provider", lambda: slow_provider(product)),
            ("large audience", lambda: large_audience(product, given.people)),
            ("memory", memory.stop),
        ):
            try:
                print(json.dumps({name: measure()}, indent=2), flush=True)
            except httpx.HTTPStatusError as error:
                raise SystemExit(error.response.text) from error


if __name__ == "__main__":
    main()
