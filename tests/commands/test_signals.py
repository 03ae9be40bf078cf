"""The first signal asks, the second insists."""

import asyncio
import os
import signal

from gateway.commands.signals import Stop


async def test_the_first_wish_asks_and_the_second_insists() -> None:
    stop = Stop()
    assert not stop.asked.is_set()
    stop.now()
    assert stop.asked.is_set()
    assert not stop.insisted.is_set()
    stop.now()
    assert stop.insisted.is_set()


async def test_signals_are_wishes() -> None:
    stop = Stop()
    stop.listen()
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(stop.asked.wait(), 10)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(number)
