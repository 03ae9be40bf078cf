"""Where log lines go: a bounded queue and a thread that writes, so that no writer ever waits."""

import os
import select
import threading
from collections import deque
from typing import Final

QUEUE: Final = 10_000
"""Lines held while the reader of our output is stuck; then the oldest go, and are counted."""
GATHER: Final = 0.02
"""Seconds for which lines are gathered into one write."""
BATCH: Final = 1_000


class Sink:
    """Takes lines at once and writes them to a file descriptor in the background, in order.

    `lost` counts lines that were dropped because the output was stuck or gone.
    """

    def __init__(self, fd: int, size: int = QUEUE) -> None:
        self._fd = fd
        self._lines: deque[bytes] = deque(maxlen=size)
        self._size = size
        self._work = threading.Event()
        self._closing = threading.Event()
        self.lost = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    @property
    def full(self) -> bool:
        """Whether the next line would push out the oldest."""
        return len(self._lines) >= self._size

    def put(self, line: bytes) -> None:
        """Queue a line, which ends with a newline. Never blocks; safe from every thread."""
        if self.full:
            self.lost += 1
        self._lines.append(line)
        if not self._work.is_set():
            self._work.set()

    def close(self, patience: float) -> None:
        """Write what is queued, for at most `patience` seconds, and stop."""
        self._closing.set()
        self._work.set()
        self._thread.join(patience)

    def _run(self) -> None:
        closing = False
        while not closing:
            self._work.wait()
            closing = self._closing.wait(GATHER)
            self._work.clear()
            self._drain()

    def _drain(self) -> None:
        lines = self._lines
        while lines:
            batch = [lines.popleft() for _ in range(min(len(lines), BATCH))]
            try:
                self._write(b"".join(batch))
            except OSError:
                # The reader is gone for good; there is nowhere left to say so.
                self.lost += len(batch)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:
                select.select((), (self._fd,), ())
