"""`turnout serve`: run the gateway."""

import argparse
import asyncio
import os
import resource
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress

from gateway.app import Gateway, open_gateway
from gateway.commands.banner import announce
from gateway.commands.options import Commands, add_data, add_folders, address, setup_of
from gateway.commands.signals import Stop
from gateway.commands.tuning import tune_gc, tune_malloc
from gateway.commands.workers import prepare, supervise
from gateway.edge.listening import CannotStart
from gateway.policy.setup import Setup
from gateway.runtime import SystemClock
from gateway.telemetry.log import Log, open_log

try:
    import uvloop
except ImportError:  # not available on this platform: asyncio's own loop does
    new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
else:
    new_loop = uvloop.new_event_loop

UNUSABLE = 2
STDOUT = 1
MAX_WORKERS = 256
LAST_SECOND = 0.8
"""Seconds for closing properly after a second signal."""


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "serve",
        help="run the gateway",
        description="Run the gateway until SIGTERM or Ctrl-C; then requests in flight end first "
        "(a second signal stops at once).",
    )
    add_folders(parser)
    add_data(parser)
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        type=address,
        help="for clients (default: gateway.yaml's `listen`, else 127.0.0.1:8080)",
    )
    parser.add_argument(
        "--admin",
        metavar="HOST:PORT",
        type=address,
        help="for health and metrics (default: gateway.yaml's `admin`, else 127.0.0.1:8081)",
    )
    parser.add_argument(
        "--workers",
        metavar="N",
        type=_count,
        default=1,
        help="processes that share the port; one that dies is replaced (default: 1)",
    )
    parser.add_argument("--worker", metavar="SOCKET", default="", help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Serve until stopped. Raises Invalid when the configuration is not usable."""
    setup = setup_of(given)
    _raise_file_limit()
    tune_malloc()
    try:
        with ExitStack() as held:
            log = held.enter_context(
                open_log(STDOUT, clock=SystemClock(), is_terminal=os.isatty(STDOUT))
            )
            if given.workers > 1:
                work = supervise(setup, held.enter_context(prepare(setup, given)), log)
            else:
                work = serve(setup, given, log)
            return held.enter_context(asyncio.Runner(loop_factory=new_loop)).run(work)
    except CannotStart as error:
        sys.stderr.write(f"turnout cannot start: {error}\n")
        return UNUSABLE


async def serve(setup: Setup, given: argparse.Namespace, log: Log) -> int:
    """Serve in this process; `given.worker` is the admin socket when a supervisor started us."""
    stop, worker = Stop(), given.worker
    stop.listen()
    if worker:
        _end_with_supervisor(stop)
    opening = open_gateway(setup, log, given.data, shared=bool(worker), admin=worker)
    async with opening as gateway:
        tune_gc()
        stop.on_hangup(gateway.process.reload_soon)
        if not worker:
            announce(setup, gateway.port, gateway.admin_port, log)
        await stop.asked.wait()
        log.info("draining", seconds=setup.settings.limits.drain)
        await _drain(gateway, stop)
    log.info("stopped")
    return 0


async def _drain(gateway: Gateway, stop: Stop) -> None:
    """Let requests in flight end, unless somebody insists: then be gone within a second."""
    async with asyncio.TaskGroup() as group:
        drain = group.create_task(gateway.edge.drain())
        insisted = group.create_task(stop.insisted.wait())
        await asyncio.wait({drain, insisted}, return_when=asyncio.FIRST_COMPLETED)
        if insisted.done():
            asyncio.get_running_loop().call_later(LAST_SECOND, os._exit, 1)
        drain.cancel()
        insisted.cancel()


def _end_with_supervisor(stop: Stop) -> None:
    """Drain when standard input ends: the supervisor holds its other end and is gone then."""
    loop = asyncio.get_running_loop()

    def ended() -> None:
        loop.remove_reader(0)
        stop.now()

    loop.add_reader(0, ended)


def _raise_file_limit() -> None:
    """Take as many file descriptors as we are allowed to: every connection is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # some systems cap it lower: what we had is fine too
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _count(text: str) -> int:
    count = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= count <= MAX_WORKERS:
        raise argparse.ArgumentTypeError(f"this must be a number from 1 to {MAX_WORKERS}")
    return count
