"""Messages per second and CPU per message, from Start to the last accepted row, the simulator in its fast mode.

    make bench-send                 # 20,000 messages over four numbers
    make bench-send ARGS="--messages 100000"

Everything is the product as `masteria up` starts it. CPU is that of every process but the simulator's (which plays the
provider); a run counts only when rows accepted = distinct provider ids = posts that the provider took.
"""

import argparse
import json
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from benchmarks.meter import read, spent
from tests.walks.stack import Stack, approved_template, import_people, running, sandbox_channel

NUMBERS = 8  # the most that one number may send is 1,000 a second, which must not be what is measured


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


def look(api: httpx.Client, campaigns: list[str]) -> list[dict[str, Any]]:
    """The campaigns as they stand."""
    return [api.get(f"/v1/campaigns/{campaign}").json() for campaign in campaigns]


def freeze(api: httpx.Client, campaigns: list[str], messages: int) -> None:
    """Pause them at once and wait until all their audiences are written."""
    for campaign in campaigns:
        api.post(f"/v1/campaigns/{campaign}/pause").raise_for_status()
    people = messages // len(campaigns)
    while any(one["status"] != "paused" or one["counts"]["total"] < people for one in look(api, campaigns)):
        time.sleep(0.5)


def wait(api: httpx.Client, campaigns: list[str]) -> list[dict[str, Any]]:
    """The campaigns, once all have ended; asked seldom, as asking costs the product's own time."""
    while True:
        seen = look(api, campaigns)
        if all(one["status"] == "completed" for one in seen):
            return seen
        time.sleep(1.0)


def run(stack: Stack, messages: int) -> dict[str, Any]:
    """One measurement."""
    api = stack.company()
    channels = [sandbox_channel(stack, api) for _ in range(NUMBERS)]
    templates = [approved_template(stack, api, channel["id"]) for channel in channels]
    import_id = import_people(api, messages // NUMBERS)
    stack.simulator("POST", "/_admin/scenario", {"name": "fast"})
    time.sleep(3)
    frozen_before = read(stack)
    campaigns = [
        start_campaign(api, channel["id"], template_id, import_id)
        for channel, template_id in zip(channels, templates, strict=True)
    ]
    freeze(api, campaigns, messages)
    early = sum(one["counts"]["accepted"] for one in look(api, campaigns))
    before, began = read(stack), datetime.now(UTC)
    for campaign in campaigns:
        api.post(f"/v1/campaigns/{campaign}/resume").raise_for_status()
    seen = wait(api, campaigns)
    after = read(stack)
    seconds = (max(datetime.fromisoformat(one["completed_at"]) for one in seen) - began).total_seconds()
    witness = stack.simulator("GET", "/_admin/accepts/summary")
    accepted = sum(one["counts"]["accepted"] for one in seen)
    sent = accepted - early
    used = spent(before, after)
    ours = sum(value for part, value in used.items() if part != "simulator")
    frozen = sum(value for part, value in spent(frozen_before, before).items() if part != "simulator")
    return {
        "messages": accepted,
        "sent_after_freezing": sent,
        "posts": witness["accepted"],
        "distinct": witness["distinct_opaque"],
        "others": {
            state: n
            for state in ("queued", "dispatching", "failed", "unknown", "skipped")
            if (n := sum(one["counts"][state] for one in seen))
        },
        "valid": accepted == witness["accepted"] == witness["distinct_opaque"] == messages,
        "seconds": round(seconds, 2),
        "messages_per_second": round(sent / seconds),
        "cpu_ms_per_message": round(ours * 1000 / max(sent, 1), 3),
        "cpu_ms_per_message_by_part": {
            part: round(value * 1000 / max(sent, 1), 3) for part, value in sorted(used.items())
        },
        "cpu_ms_per_message_frozen": round(frozen * 1000 / messages, 3),
        "memory_mb": {part: round(size / 1e6) for part, size in sorted(after.memory.items())},
    }


def main() -> None:
    """Measure once and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=20_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="masteria-bench-") as folder:
        home = Path(folder)
        home.chmod(0o711)
        with running(Stack(home)) as stack:
            print(json.dumps(run(stack, given.messages - given.messages % NUMBERS), indent=2))


if __name__ == "__main__":
    main()
