"""`masteria doctor`: what must be right for a start, each with what to do when it is not."""

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psycopg
import redis
from packaging.markers import Marker

from engine.cli.database import revisions
from engine.cli.programs import doors, work
from engine.cli.up import is_running, ports_in_use, shared_ports
from engine.core.bootstrap import APP_ROLE, EXTENSIONS, SYSTEM_ROLE
from engine.core.settings import DATABASE_VARIABLES, Settings, SettingsError, project_root, settings
from engine.embedded import port_is_free

GIBIBYTE = 1024**3
LEAST_DISK = 2 * GIBIBYTE
LOCKED = re.compile(
    r"^(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[^ ;\\]+)(?: *; *(?P<marker>[^\\]+))?", re.M
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    subject: str
    ok: bool
    text: str


def examine() -> list[Finding]:
    """Look at everything, in the order in which one would mend it."""
    findings = [_python(), _packages()]
    try:
        given = settings()
    except SettingsError as error:
        return [*findings, Finding("settings", False, str(error))]
    findings.append(Finding("settings", True, f"{given.environment}, data in {given.home}"))
    findings += [_disk(given), *_ports(given)]
    if not os.environ.get(DATABASE_VARIABLES[0]) and not is_running(given.home):
        return [*findings, Finding("servers", True, "not running: `make up` starts the embedded ones")]
    looks: list[Callable[[Settings], Iterator[Finding]]] = [_database, _schema, _redis]
    for look in looks:
        findings += look(given)
    return findings


def _python() -> Finding:
    right = (3, 12) <= sys.version_info[:2] <= (3, 13)
    text = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", right, text if right else f"{text}: 3.12 or 3.13 is needed, run `make repair`")


def _packages() -> Finding:
    lock = project_root() / "requirements" / "runtime.lock"
    if not lock.is_file():
        return Finding("packages", True, "installed without the lock")
    wrong = []
    for locked in LOCKED.finditer(lock.read_text()):
        marker = locked["marker"]
        if marker and not Marker(marker.strip()).evaluate():
            continue
        try:
            found = metadata.version(locked["name"])
        except metadata.PackageNotFoundError:
            found = "missing"
        if found != locked["version"]:
            wrong.append(f"{locked['name']} is {found}, not {locked['version']}")
    if wrong:
        return Finding("packages", False, f"{'; '.join(wrong[:3])}: run `make repair`")
    return Finding("packages", True, "as locked")


def _disk(given: Settings) -> Finding:
    free = shutil.disk_usage(_existing(given.home)).free
    text = f"{free / GIBIBYTE:.1f} GiB free"
    return Finding("disk", free > LEAST_DISK, text if free > LEAST_DISK else f"{text}: make room")


def _existing(folder: Path) -> Path:
    return next(part for part in (folder, *folder.parents) if part.exists())


def _ports(given: Settings) -> Iterator[Finding]:
    running = is_running(given.home)
    used = ports_in_use(given.home)
    ours = [*doors(given), *work(given)]
    for sentence in shared_ports(ours):
        yield Finding("ports", False, sentence)
    for program in ours:
        if program.port is None:
            continue
        if running:
            yield Finding(f"port {used.get(program.name, program.port)}", True, f"{program.name}, running")
        elif port_is_free(program.port, program.host):
            yield Finding(f"port {program.port}", True, f"free for the {program.name}")
        else:
            yield Finding(f"port {program.port}", False, f"taken: name a free one with {program.setting}")


def _database(given: Settings) -> Iterator[Finding]:
    wanted = {"app": (given.database_url, False), "system": (given.database_system_url, True)}
    for role, (url, may_bypass) in wanted.items():
        try:
            with psycopg.connect(url, connect_timeout=5) as connection:
                row = connection.execute(
                    "select rolbypassrls, rolsuper, current_setting('server_version_num')::int"
                    " from pg_roles where rolname = current_user"
                ).fetchone()
                present = {name for (name,) in connection.execute("select extname from pg_extension")}
        except psycopg.OperationalError as error:
            yield Finding(
                f"database ({role})", False, f"{_first_line(error)}: is it running, is the address right?"
            )
            return
        bypasses, superuser, version = row or (True, True, 0)
        missing = [extension for extension in EXTENSIONS if extension not in present]
        if superuser or bypasses is not may_bypass:
            powers = f"wrong powers: {APP_ROLE} must be bound by row-level security, {SYSTEM_ROLE} not"
            yield Finding(f"database ({role})", False, f"{powers}; run masteria bootstrap-database")
        elif version < 180000 or missing:
            lack = f"PostgreSQL 18 with {', '.join(EXTENSIONS)} is needed"
            yield Finding(f"database ({role})", False, f"{lack}; run masteria bootstrap-database")
        else:
            yield Finding(f"database ({role})", True, f"PostgreSQL {version // 10000}.{version % 10000}")


def _schema(_given: Settings) -> Iterator[Finding]:
    try:
        found = revisions()
    except psycopg.OperationalError as error:
        yield Finding("schema", False, _first_line(error))
        return
    if found.present == found.wanted:
        yield Finding("schema", True, f"revision {found.present}")
    else:
        text = f"revision {found.present or 'none'}, the code wants {found.wanted}: run `masteria migrate`"
        yield Finding("schema", False, text)


def _redis(given: Settings) -> Iterator[Finding]:
    try:
        with redis.Redis.from_url(given.redis_url, socket_connect_timeout=5) as client:
            policy = client.config_get("maxmemory-policy")["maxmemory-policy"]
    except redis.RedisError as error:
        yield Finding("redis", False, f"{_first_line(error)}: is it running, is MASTERIA_REDIS_URL right?")
        return
    safe = policy == "noeviction"
    yield Finding("redis", safe, "answers" if safe else f"evicts ({policy}): set maxmemory-policy noeviction")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
