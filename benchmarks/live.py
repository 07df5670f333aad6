"""From an event on the wire to a pixel on the console: a signed status is posted as Meta does, a figure changes on screen.

    make bench-live                 # 80 events on a campaign's page
    make bench-live ARGS="--events 200"

Everything is the product as `masteria up` starts it, and a real browser. The clock starts before the POST of the webhook
leaves and ends when the browser has painted the new figure (both read the same machine's clock). Events come one by one,
at random distances, so that no rhythm of ours is met by chance; each is a person whom the message reached.
"""

import argparse
import hashlib
import hmac
import json
import random
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.send import start_campaign, wait
from engine.core.settings import project_root
from tests.walks.browser import launch, sign_in
from tests.walks.stack import (
    EMAIL,
    Stack,
    approved_template,
    eventually,
    import_people,
    running_apart,
    sandbox_channel,
)

TARGET_MS = 500
WARM_UP = 5
SPACING_SECONDS = (0.25, 0.75)
FIGURE = "[data-head=delivered] dd > span.num"
# Notes each figure with the moment at which its frame was painted: the task after the next frame.
WATCH = """figure => {
  window.painted = {}
  const look = () => {
    const shown = parseInt(figure.textContent, 10)
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel()
      port1.onmessage = () => { window.painted[shown] ??= performance.timeOrigin + performance.now() }
      port2.postMessage(null)
    })
  }
  new MutationObserver(look).observe(figure, { childList: true, characterData: true, subtree: true })
}"""


def status_of(accept: dict[str, Any], account: dict[str, Any]) -> bytes:
    """What Meta posts when a message reached a phone."""
    status = {
        "id": accept["wamid"],
        "status": "delivered",
        "timestamp": str(int(time.time())),
        "recipient_id": accept["recipient"].removeprefix("+"),
        "biz_opaque_callback_data": accept["opaque"],
    }
    number = {
        "display_phone_number": account["display_phone_number"],
        "phone_number_id": account["phone_number_id"],
    }
    value = {"messaging_product": "whatsapp", "metadata": number, "statuses": [status]}
    entry = {"id": account["waba_id"], "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def measure(
    page: Page, channel: dict[str, Any], account: dict[str, Any], accepts: list[dict[str, Any]]
) -> list[float]:
    """Milliseconds from POST to paint, an event each."""
    page.locator(FIGURE).evaluate(WATCH)
    taken: list[float] = []
    with httpx.Client(trust_env=False) as meta:
        for number, accept in enumerate(accepts, start=1):
            time.sleep(random.uniform(*SPACING_SECONDS))
            body = status_of(accept, account)
            signature = hmac.new(account["app_secret"].encode(), body, hashlib.sha256).hexdigest()
            headers = {"content-type": "application/json", "x-hub-signature-256": f"sha256={signature}"}
            began = time.time()
            answer = meta.post(channel["webhook_url"], content=body, headers=headers)
            answer.raise_for_status()
            painted = eventually(
                lambda number=number: page.evaluate(f"window.painted[{number}]"),  # type: ignore[misc]
                seconds=10,
                why=f"event {number} never came to the screen",
            )
            taken.append(painted - began * 1000)
    return taken


def run(stack: Stack, page: Page, events: int) -> dict[str, Any]:
    """One measurement on a campaign that was sent and has not been delivered yet."""
    api = stack.company()
    channel = sandbox_channel(stack, api)
    template_id = approved_template(stack, api, channel["id"])
    import_id = import_people(api, events + WARM_UP)
    stack.simulator("POST", "/_admin/scenario", {"name": "fast"})
    campaign_id = start_campaign(api, channel["id"], template_id, import_id)
    wait(api, [campaign_id])
    number = channel["phone_number_id"]
    accounts = stack.simulator("GET", "/_admin/accounts")["items"]
    [account] = [one for one in accounts if one["phone_number_id"] == number]
    accepts = stack.simulator("GET", f"/_admin/accepts?phone_number_id={number}&limit=1000")["items"]
    sign_in(page, stack, EMAIL)
    page.goto(f"{stack.console_url}/console/campaigns/{campaign_id}")
    expect(page.locator(FIGURE)).to_be_visible(timeout=30_000)
    time.sleep(2)
    taken = sorted(measure(page, channel, account, accepts)[WARM_UP:])
    p95 = statistics.quantiles(taken, n=20)[-1]
    return {
        "events": len(taken),
        "p50_ms": round(statistics.median(taken)),
        "p95_ms": round(p95),
        "max_ms": round(taken[-1]),
        "min_ms": round(taken[0]),
        "target_p95_ms": TARGET_MS,
        "met": p95 < TARGET_MS,
    }


@contextmanager
def browser_page() -> Iterator[Page]:
    """A page of a headless Chromium."""
    script = project_root() / "scripts" / "find-chromium"
    path = subprocess.run([str(script)], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    if not path:
        raise SystemExit("No Chromium was found; name one with CHROMIUM_PATH.")
    with sync_playwright() as playwright:
        browser = launch(playwright, path)
        yield browser.new_page(viewport={"width": 1440, "height": 900})
        browser.close()


def main() -> None:
    """Measure once and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=80)
    given = parser.parse_args()
    with running_apart() as stack, browser_page() as page:
        print(json.dumps(run(stack, page, given.events), indent=2))


if __name__ == "__main__":
    main()
