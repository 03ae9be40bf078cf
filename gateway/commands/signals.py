"""Stopping: the first signal asks, the second insists."""

import asyncio
import signal
from typing import Final

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """`asked` is set by the first SIGTERM or SIGINT, `insisted` by the second."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.insisted = asyncio.Event()

    def now(self) -> None:
        """Take one more wish to stop."""
        (self.insisted if self.asked.is_set() else self.asked).set()

    def listen(self) -> None:
        """Take the process's signals from here on."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.now)
