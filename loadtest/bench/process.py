"""Processes under test: started on one core, asked for their CPU time and memory, stopped."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

GATEWAY_CORE: Final = 0
LOAD_CORE: Final = 1
_TICK: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def free_port() -> int:
    """Return a port that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def pin(core: int) -> bool:
    """Keep this process, and those it starts from now on, on one core. False on a single core."""
    cores = os.cpu_count() or 1
    if cores <= max(GATEWAY_CORE, LOAD_CORE):
        return False
    os.sched_setaffinity(0, {core})
    return True


class Process:
    """A running process."""

    def __init__(
        self, popen: "subprocess.Popen[bytes]", port: int, born: float, output: Path
    ) -> None:
        self._popen = popen
        self._output = output
        self.port = port
        self.born = born

    def cpu(self) -> float:
        """Return the seconds of CPU time used so far, user and system, by all its threads."""
        fields = Path(f"/proc/{self._popen.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK

    def memory(self) -> float:
        """Return the resident megabytes."""
        return int(Path(f"/proc/{self._popen.pid}/statm").read_text().split()[1]) * _PAGE / 1e6

    def last_words(self) -> str:
        """Return the last line that it wrote."""
        return (self._output.read_text().splitlines() or [""])[-1]

    def alive(self) -> bool:
        """Return whether it still runs."""
        return self._popen.poll() is None


@contextmanager
def started(
    command: Sequence[str], port: int, core: int, output: Path, env: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """Run a command on a core until the end of the block; it writes to `output`."""
    pin(core)
    with output.open("wb") as sink:
        born = time.perf_counter()
        popen = subprocess.Popen(
            command, stdout=sink, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})}
        )
    pin(LOAD_CORE)
    try:
        yield Process(popen, port, born, output)
    finally:
        popen.terminate()
        try:
            popen.wait(10)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait(10)
