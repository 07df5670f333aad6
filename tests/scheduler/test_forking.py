"""A child that the pool forks from a worker which has sent itself, as it does without Redis, shares nothing with it."""

import os
import signal
import subprocess
import sys

from engine.core.bootstrap import DatabaseUrls
from engine.core.settings import project_root
from engine.messaging import wirebook

SCRIPT = """
import os, signal, socket
from engine.core.http import HttpRequest
from engine.messaging import wirebook
from engine.scheduler import app
from engine.scheduler.jobs import messaging

server = socket.create_server(("127.0.0.1", 0))
url = "http://127.0.0.1:%d" % server.getsockname()[1]
parents = messaging._dispatcher()
parents._wire.begin(HttpRequest("POST", url, {}, b"{}"), "call")
while not parents._wire._by_fd:
    parents._wire.collect(0.1)
line = server.accept()[0]

child = os.fork()
if not child:
    app._own_connections()
    own = messaging._dispatcher()
    os._exit(0 if own is not parents and own._book.name != parents._book.name else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "it goes on with its parent's"

line.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
ended = []
while not ended:
    ended = parents._wire.collect(1.0)
assert ended[0][1].body == b"ok", ended
assert parents._book.name not in wirebook.died_here()

read, write = os.pipe()
child = os.fork()
if not child:
    app._own_connections()
    os.write(write, b"!")
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    signal.pause()
os.read(read, 1)
print(parents._book.name, child, flush=True)
os._exit(9)  # as one that is killed: its child lives on
"""


def test_a_child_has_a_book_of_its_own_and_holds_its_parents_neither_open_nor_alive(
    database: DatabaseUrls,
) -> None:
    done = subprocess.run(
        (sys.executable, "-c", SCRIPT),
        cwd=project_root(), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert done.returncode == 9, done.stderr
    name, child = done.stdout.splitlines()[-1].split()
    is_believed_dead = name in wirebook.died_here()
    os.kill(int(child), signal.SIGKILL)  # it was there all the while
    assert is_believed_dead
