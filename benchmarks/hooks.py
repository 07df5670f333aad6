"""Webhooks as Meta sends them, signed, and wrk to post them: 64 connections, each body once."""

import hashlib
import hmac
import random
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

CONNECTIONS = 64

# Each line of the file is one request: its signature, a space, its body.
_SCRIPT = """
wrk.method = "POST"
local lines, at = {{}}, 0
function init(args)
  for line in io.lines("{file}") do lines[#lines + 1] = line end
end
function request()
  at = at + 1
  if at > #lines then at = #lines end
  local line = lines[at]
  return wrk.format("POST", "{path}", {{
    ["Content-Type"] = "application/json", ["X-Hub-Signature-256"] = string.sub(line, 1, 71)}}, string.sub(line, 73))
end
function done(summary, latency, requests)
  io.write(string.format("p50 %.3f p99 %.3f errors %d\\n", latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
"""


@dataclass(frozen=True, slots=True)
class Posted:
    """What wrk saw: answers, and the time to an answer in milliseconds."""

    answered: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int


def status_body(account: Mapping[str, Any], wamid: str, send_key: str, status: str, at: int) -> bytes:
    """One status of one message, with the fields that Meta sends."""
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "551150000000", "phone_number_id": account["phone_number_id"]},
        "statuses": [
            {
                "id": wamid,
                "status": status,
                "timestamp": str(at),
                "recipient_id": "5511900000101",
                "recipient_logical_id": "5511900000101",
                "conversation": {
                    "id": hashlib.sha256(wamid.encode()).hexdigest()[:32],
                    "origin": {"type": "utility"},
                },
                "pricing": {
                    "billable": True,
                    "pricing_model": "PMP",
                    "category": "utility",
                    "type": "regular",
                },
                "biz_opaque_callback_data": send_key,
            }
        ],
    }
    return orjson.dumps(
        {
            "object": "whatsapp_business_account",
            "entry": [{"id": account["waba_id"], "changes": [{"value": value, "field": "messages"}]}],
        }
    )


def shuffled_by(amount: int, lag: int, seed: int = 7) -> list[int]:
    """The numbers below `amount`, each up to `lag` places from its own: as statuses of many people come in."""
    generator = random.Random(seed)
    return sorted(range(amount), key=lambda number: number + generator.random() * lag)


def write_signed(path: Path, secret: str, bodies: Sequence[bytes]) -> None:
    """The file that wrk reads."""
    key = secret.encode()
    with path.open("wb") as file:
        for body in bodies:
            signature = hmac.new(key, body, hashlib.sha256).hexdigest().encode()
            file.write(b"sha256=" + signature + b" " + body + b"\n")


def post(folder: Path, file: Path, base: str, path: str, seconds: int) -> Posted:
    """Post from a file for some seconds."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SystemExit(
            "Webhooks are posted with wrk: install it (Debian: apt install wrk), then try again."
        )
    script = folder / "hook.lua"
    script.write_text(_SCRIPT.format(file=file, path=path))
    said = subprocess.run(
        [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "20s", "-s", str(script), base],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    total = re.search(r"(\d+) requests in ([\d.]+)(m?s)", said)
    tail = re.search(r"p50 ([\d.]+) p99 ([\d.]+) errors (\d+)", said)
    if total is None or tail is None:
        raise SystemExit(f"wrk said nothing to understand:\n{said}")
    return Posted(int(total[1]), float(total[2]), float(tail[1]), float(tail[2]), int(tail[3]))
