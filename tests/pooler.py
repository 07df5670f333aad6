"""A real PgBouncer before the test database, by the file that we ship: but for few connections, and where things lie."""

import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
import pytest

from engine.core.bootstrap import DatabaseUrls
from engine.core.settings import project_root
from engine.embedded import RunningPostgres
from engine.embedded.server import LOOPBACK, RunningServer, Server, spawn, wait_until

SHIPPED = project_root() / "deploy/kubernetes/components/pgbouncer/pgbouncer.ini"
SIZE = 2  # connections for each role: far fewer than ask for one at once


class Pooler:
    """The addresses that lead through it, and how to stop and start it."""

    def __init__(self, running: RunningPostgres, folder: Path) -> None:
        self._command = (_program(), str(folder / "pgbouncer.ini"))
        self._folder = folder
        self._user = running.server.user
        with socket.create_server((LOOPBACK, 0)) as free:
            self.port = free.getsockname()[1]
        self.urls = DatabaseUrls(
            owner=running.urls.owner,  # who migrates goes straight
            app=self._through(running.urls.app),
            system=self._through(running.urls.system),
        )
        self._write(running)
        self._running: RunningServer | None = None

    def start(self) -> None:
        """Run it; returns once it takes connections."""
        server = Server(
            name="pgbouncer",
            command=self._command,
            directory=self._folder,
            port=self.port,
            url=self.urls.app,
            user=self._user,
            stop_signal=signal.SIGTERM,
        )
        child = spawn(server, self._folder / "pgbouncer.log")
        self._running = RunningServer(server, child)
        wait_until(self._answers, lambda: child.poll() is None, server.name)

    def stop(self) -> None:
        """End it at once, as a machine that is switched off would."""
        if self._running is not None:
            self._running.stop()
            self._running = None

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.urls.app, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _through(self, url: str) -> str:
        parts = urlsplit(url)
        return parts._replace(netloc=f"{parts.username}:{parts.password}@{LOOPBACK}:{self.port}").geturl()

    def _write(self, running: RunningPostgres) -> None:
        database = urlsplit(running.urls.app)
        people = (urlsplit(url) for url in (running.urls.app, running.urls.system))
        users = "".join(f'"{who.username}" "{unquote(who.password or "")}"\n' for who in people)
        here = {
            "%include": f"%include {self._folder / 'databases.ini'}",
            "listen_addr": f"listen_addr = {LOOPBACK}",
            "listen_port": f"listen_port = {self.port}",
            "auth_file": f"auth_file = {self._folder / 'users.txt'}",
            "default_pool_size": f"default_pool_size = {SIZE}",
        }
        shipped = SHIPPED.read_text().splitlines()
        words = [line.split(maxsplit=1)[:1] for line in shipped]
        assert all([word] in words for word in here)
        lines = [here.get(word[0], line) if word else line for line, word in zip(shipped, words, strict=True)]
        files = {
            "pgbouncer.ini": "\n".join(lines) + "\n",
            "databases.ini": f"[databases]\n* = host={LOOPBACK} port={database.port}\n",
            "users.txt": users,
        }
        self._folder.mkdir(parents=True)
        for name, content in files.items():
            path = self._folder / name
            path.write_text(content)
            path.chmod(0o600)
            if self._user is not None:
                shutil.chown(path, self._user)


def _program() -> str:
    # Debian puts it where only root's PATH looks.
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if found is None:
        pytest.skip("There is no PgBouncer on this machine (Debian's package: pgbouncer).")
    return found


@contextmanager
def running_pooler(running: RunningPostgres, folder: Path) -> Iterator[Pooler]:
    """A PgBouncer of this folder, which is made."""
    pooler = Pooler(running, folder)
    try:
        pooler.start()
        yield pooler
    finally:
        pooler.stop()
