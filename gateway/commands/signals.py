"""Stopping and reloading: the first signal to stop asks, the second insists; SIGHUP reloads."""

import asyncio
import os
import select
import signal
from collections.abc import Callable
from typing import Final

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
STDOUT: Final = 1


class Stop:
    """`asked` is set by the first SIGTERM or SIGINT, `insisted` by the second."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.insisted = asyncio.Event()

    def now(self) -> None:
        """Take one more wish to stop."""
        (self.insisted if self.asked.is_set() else self.asked).set()

    def listen(self) -> None:
        """Take the process's signals from here on; SIGHUP does nothing yet."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.now)
        self.on_hangup(lambda: None)

    def on_hangup(self, reload: Callable[[], None]) -> None:
        """Call `reload` on SIGHUP, or stop when it means that our terminal was closed."""
        at_terminal = os.isatty(STDOUT)

        def hung_up() -> None:
            if at_terminal and is_gone(STDOUT):
                self.now()
            else:
                reload()

        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hung_up)


def is_gone(fd: int) -> bool:
    """Tell whether the other end of a terminal has been closed."""
    poll = select.poll()
    poll.register(fd, 0)
    return any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0))
