"""The first signal asks, the second insists."""

import asyncio
import os
import pty
import signal

from gateway.commands.signals import Stop, is_gone


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
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            asyncio.get_running_loop().remove_signal_handler(number)


async def test_sighup_reloads() -> None:
    stop, reloaded = Stop(), asyncio.Event()
    stop.on_hangup(reloaded.set)
    try:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.wait_for(reloaded.wait(), 10)
        assert not stop.asked.is_set()
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)


def test_a_terminal_that_was_closed_is_gone() -> None:
    ours, theirs = pty.openpty()
    try:
        assert not is_gone(theirs)
        os.close(ours)
        assert is_gone(theirs)
    finally:
        os.close(theirs)
