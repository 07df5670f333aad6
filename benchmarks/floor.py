"""The least that sending can cost on this machine: a C program that posts, one UPDATE for all rows, JSON both ways."""

import re
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson
import psutil
import psycopg

from benchmarks.meter import of_peer
from benchmarks.peers import FOLDER, PEOPLE, RECIPIENTS, Servers

SECONDS = 4
ROWS = 50_000
TIMES = 50_000

_SCRIPT = """
wrk.method = "POST"
wrk.body = '{body}'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer {token}"
"""
_BODY = {
    "messaging_product": "whatsapp",
    "recipient_type": "individual",
    "to": "+5511900000101",
    "type": "template",
    "template": {
        "name": "novidade",
        "language": {"code": "pt_BR"},
        "components": [{"type": "body", "parameters": [{"type": "text", "text": "Pessoa 1"}]}],
    },
    "biz_opaque_callback_data": "01939d3e-6d1a-7c3b-9d3e-2f1a6b7c8d90",
}


def measure(servers: Servers) -> dict[str, Any]:
    """CPU microseconds per message of each piece, and their sum."""
    post = _post(servers)
    parts = {"post": post, "update": _update(servers), "json": _json()}
    return {
        "name": "floor",
        "cpu_us": round(sum(parts.values()), 1),
        "cpu_us_by_part": {part: round(value, 1) for part, value in parts.items()},
    }


def _post(servers: Servers) -> float:
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SystemExit(
            "The floor is measured with wrk: install it (Debian: apt install wrk), then try again."
        )
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        script.write_text(
            _SCRIPT.format(body=orjson.dumps(_BODY).decode(), token=servers.account["access_token"])
        )
        environment = servers.environment("floor", {})
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        said = subprocess.run(
            [wrk, "-t1", "-c64", f"-d{SECONDS}s", "-s", str(script), environment["PROVIDER"]],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = re.search(r"(\d+) requests in", said)
    if found is None or "Non-2xx" in said:
        raise SystemExit(f"wrk could not post:\n{said}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used / int(found[1]) * 1e6


def _update(servers: Servers) -> float:
    with psycopg.connect(servers.database, autocommit=True) as connection:
        connection.execute((FOLDER / "schema.sql").read_text())
        connection.execute(PEOPLE, {"n": ROWS})
        connection.execute(RECIPIENTS, {"n": ROWS, "warm": 0})
        connection.execute("vacuum analyze recipients")
        connection.execute("checkpoint")
        before = of_peer(servers.stack, [])
        connection.execute(
            "update recipients set state = 2, provider_id = 'wamid.HBgL' || md5(id::text), sent_at = now()"
        )
        after = of_peer(servers.stack, [])
    return (after["PostgreSQL"] - before["PostgreSQL"]) / ROWS * 1e6


def _json() -> float:
    answer = orjson.dumps(
        {
            "messaging_product": "whatsapp",
            "contacts": [{"input": "+5511900000101", "wa_id": "5511900000101"}],
            "messages": [{"id": "wamid.HBgNNTUxMTkwMDAwMDEwMRUCABEYEkEzN0YxMUM5MDAwMDAwNERFMQA="}],
        }
    )
    began = time.process_time()
    for _ in range(TIMES):
        orjson.dumps(_BODY)
        orjson.loads(answer)
    return (time.process_time() - began) / TIMES * 1e6


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    cores = psutil.cpu_count() or 1
    return {"cores": cores, "memory_gb": round(psutil.virtual_memory().total / 2**30)}
