"""The command `turnout serve` as a real process."""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE = 30.0


class Process:
    def __init__(self, running: subprocess.Popen[bytes], output: Path) -> None:
        self.running = running
        self.output = output
        self.port = 0
        self.admin_port = 0

    def events(self) -> list[dict[str, Any]]:
        lines = self.output.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def await_start(self) -> None:
        """Wait for the line that says where it listens."""
        until(lambda: any(e["event"] == "serving" for e in self.events()), self)
        (serving,) = [event for event in self.events() if event["event"] == "serving"]
        self.port = int(serving["listen"].rpartition(":")[2])
        self.admin_port = int(serving["admin"].rpartition(":")[2])

    def get(self, path: str, *, admin: bool = False) -> tuple[int, bytes]:
        port = self.admin_port if admin else self.port
        with connection(port) as client:
            client.request("GET", path)
            response = client.getresponse()
            return response.status, response.read()

    def readiness(self) -> Any:
        return json.loads(self.get("/readyz", admin=True)[1])

    def end(self) -> int:
        """Wait for its end and return the exit code."""
        return self.running.wait(PATIENCE)


@contextmanager
def connection(port: int) -> Iterator[http.client.HTTPConnection]:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        yield client
    finally:
        client.close()


def until(reached: Callable[[], bool], process: Process) -> None:
    """Wait until it is so; fail when the process ends or it takes very long."""
    end = time.monotonic() + PATIENCE
    while not reached():
        assert process.running.poll() is None, process.output.read_text()
        assert time.monotonic() < end, process.output.read_text()
        time.sleep(0.01)


def command(home: Path, *arguments: str) -> list[str]:
    folders = ["--config", str(home / "config"), "--policies", str(home / "policies")]
    return [sys.executable, "-m", "gateway", "serve", *folders, *arguments]


@contextmanager
def serving(
    home: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """Run `turnout serve` on the configuration below `home`; it is killed at the end."""
    output = home / "output"
    with output.open("wb") as file:
        running = subprocess.Popen(
            command(home, *arguments, "--data", str(home / "data")),
            stdout=file,
            stderr=file,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
            cwd=home,
        )
    process = Process(running, output)
    try:
        process.await_start()
        yield process
    finally:
        if running.poll() is None:
            running.kill()
        running.wait()
