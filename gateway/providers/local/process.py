"""A child process that serves one model file over HTTP on loopback, for as long as we live."""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from msgspec import Struct

from gateway.core.errors import UpstreamBroken
from gateway.core.ports import Clock

T = TypeVar("T")

_SERVER: Final = Path(__file__).with_name("server.py")
_ENVIRONMENT: Final = {"LC_ALL": "C.UTF-8"}
"""All that the child sees of ours: no secret, no proxy, no path."""


class Launch(Struct, frozen=True):
    """What to serve and how."""

    model_file: Path
    context: int
    threads: int

    @property
    def alias(self) -> str:
        """The model's name in answers."""
        return self.model_file.name.partition(".")[0].lower()


class ModelProcess:
    """A child, from its first breath. `ended` is done once its end has been noticed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._process = process

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    async def listen(self, key: str, timeout: float, clock: Clock) -> int:  # noqa: ASYNC109 - told to the caller
        """Return the port once it serves. Raises UpstreamBroken (code local_model_failed)."""
        timer = clock.after(timeout, self.kill)
        try:
            word, _, rest = (await self._first_line(key)).partition(" ")
        except BaseException:
            self.kill()
            raise
        finally:
            timer.cancel()
        if word == "ready":
            return int(rest)
        self.kill()
        await self.wait()
        raise not_started(rest or f"it ended, or took longer than {timeout:g} s")

    async def _first_line(self, key: str) -> str:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:  # pragma: no cover - both are pipes
            return ""
        stdin.write(key.encode() + b"\n")
        return (await stdout.readline()).decode("utf-8", "replace").strip()

    def kill(self) -> None:
        """End it at once; it has nothing to save."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def wait(self) -> None:
        """Return when it is gone, whoever ended it."""
        await self._process.wait()
        if not self.ended.done():
            self.ended.set_result(None)


async def launch(what: Launch) -> ModelProcess:
    """Start a child; it is not ready yet. Raises UpstreamBroken when the machine refuses."""
    command = [str(what.model_file.absolute()), what.alias, str(what.context), str(what.threads)]
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            str(_SERVER),
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=_ENVIRONMENT,
            cwd="/",
        )
    except OSError as error:
        raise not_started(str(error)) from error
    return ModelProcess(process)


def not_started(detail: str) -> UpstreamBroken:
    """Return the error of a child that does not come up."""
    return UpstreamBroken(
        "The local model could not be started. Tell the gateway's operator.",
        code="local_model_failed",
        detail=detail,
    )


async def settled(future: "asyncio.Future[T]", limit: float, clock: Clock) -> bool:
    """Wait until the future is done, or the clock shows `limit`; tell which."""
    woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake(_: object = None) -> None:
        if not woken.done():
            woken.set_result(None)

    timer = clock.after(limit - clock.monotonic(), wake)
    future.add_done_callback(wake)
    try:
        await woken
    finally:
        timer.cancel()
        future.remove_done_callback(wake)
    return future.done()
