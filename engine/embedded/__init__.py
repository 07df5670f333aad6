"""PostgreSQL and Valkey from wheels, for one machine: no server to install, data under `{home}`.

`prepare_postgres` and `prepare_valkey` end what an earlier run left behind, make the data directory and answer
with a `Server`: what to run, as whom, and where it will listen. A supervisor runs it, or `start_postgres` and
`start_valkey` do. Both listen on a free loopback port that is remembered from start to start, behind a
password.
"""

from pathlib import Path

from engine.core.bootstrap import DatabaseUrls
from engine.core.settings import DATABASE_FILE, DATABASE_VARIABLES, REDIS_FILE, REDIS_VARIABLE, write_env_file
from engine.embedded.postgres import (
    RunningPostgres,
    bootstrap_embedded,
    data_directories,
    postgres_data,
    prepare_postgres,
    start_postgres,
    wait_for_postgres,
)
from engine.embedded.server import (
    PASSWORDS_FILE,
    EmbeddedServerError,
    RunningServer,
    Server,
    die_with_parent,
    port_is_free,
    spawn,
)
from engine.embedded.valkey import prepare_valkey, start_valkey, wait_for_valkey

__all__ = [
    "PASSWORDS_FILE",
    "EmbeddedServerError",
    "RunningPostgres",
    "RunningServer",
    "Server",
    "bootstrap_embedded",
    "data_directories",
    "die_with_parent",
    "port_is_free",
    "postgres_data",
    "prepare_postgres",
    "prepare_valkey",
    "remember_urls",
    "spawn",
    "start_postgres",
    "start_valkey",
    "wait_for_postgres",
    "wait_for_valkey",
]


def remember_urls(home: Path, *, database: DatabaseUrls | None, redis_url: str | None) -> None:
    """Keep the embedded servers' addresses where `settings()` of any other process finds them."""
    if database is not None:
        values = zip(DATABASE_VARIABLES, (database.app, database.system, database.owner), strict=True)
        write_env_file(home / "run" / DATABASE_FILE, dict(values))
    if redis_url is not None:
        write_env_file(home / "run" / REDIS_FILE, {REDIS_VARIABLE: redis_url})
