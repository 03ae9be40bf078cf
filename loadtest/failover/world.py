"""Simulated providers behind a failover stage, users in front, and a clock that only jumps."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from random import Random
from typing import Any, Final

import msgspec
from msgspec import Struct

from gateway.core import wire
from gateway.core.capacity import Capacity, Concurrency
from gateway.core.catalogue import Catalogue, Model
from gateway.core.chat import parse_request
from gateway.core.errors import GatewayError, InternalError
from gateway.core.exchange import Caller, Exchange
from gateway.core.health import Health
from gateway.core.notes import Notes
from gateway.core.ports import Call, Provider, Runtime, Tools
from gateway.core.reply import Reply, Stream
from gateway.core.stage import compose
from gateway.providers.simulated.provider import SimulatedConfig
from gateway.providers.transport.upstream_errors import upstream_error
from gateway.stages import AnyStage
from gateway.stages.relay import RelayPolicy
from gateway.state.memory import memory_state
from gateway.trial.clock import TrialClock

_NO_SLOTS: Final = Concurrency(max=100_000, adaptive=False)
TURNS: Final = 12
"""Turns of the loop in which everything that is due has reached its next wait."""
DEADLINE: Final = 60.0


class Trouble(Struct, frozen=True):
    """A span of seconds in which a share of requests ends in a 500 in place of a first token."""

    start: float
    end: float
    share: float


class Answer(Struct, frozen=True):
    """What one user got, and when: seconds of virtual time."""

    asked: float
    ended: float
    good: bool
    first: float | None = None


class Troubled:
    """A provider with trouble; it notes when it was asked."""

    stands_in_for: frozenset[str] = frozenset()

    def __init__(self, inner: Provider, runtime: Runtime, trouble: Trouble | None) -> None:
        self.asked: list[tuple[float, str]] = []
        """When, and for which request."""
        self._inner = inner
        self._runtime = runtime
        self._trouble = trouble

    async def send(self, call: Call, /) -> Reply:
        """Answer, or fail while there is trouble."""
        now, trouble = self._runtime.clock.monotonic(), self._trouble
        self.asked.append((now, call.id))
        hit = trouble is not None and trouble.start <= now < trouble.end
        reply = await self._inner.send(call)
        if trouble is not None and hit and self._runtime.random.random() < trouble.share:
            if isinstance(reply, Stream):
                await reply.blocks.aclose()
            raise upstream_error(500, {}, b"", "openai", now)
        return reply

    async def warm(self) -> None:
        """Do nothing."""

    async def aclose(self) -> None:
        """Do nothing."""


class World:
    """Providers by name, each with one model of the same name, and a policy over them.

    Without a policy it is a world without Turnout: nobody waits for a place at a provider.
    """

    def __init__(
        self,
        providers: Mapping[str, SimulatedConfig],
        trouble: Mapping[str, Trouble],
        pipeline: Sequence[Mapping[str, Any]],
        seed: int = 1,
    ) -> None:
        self.clock = TrialClock(0.0)
        self.random = Random(seed)
        self.answers: list[Answer] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.runtime = Runtime(
            clock=self.clock,
            random=self.random,
            new_id=lambda: "req",
            new_secret=lambda: "secret",
            spawn=self.spawn,
        )
        self.providers = {
            name: Troubled(config.build(name, self.runtime), self.runtime, trouble.get(name))
            for name, config in providers.items()
        }
        rules = {} if pipeline else dict.fromkeys(providers, _NO_SLOTS)
        self.tools = Tools(
            runtime=self.runtime,
            providers=self.providers,
            catalogue=Catalogue({name: Model(provider=name, name=name) for name in providers}),
            state=memory_state(self.clock),
            capacity=Capacity(self.clock, self.random, rules),
            health=Health(self.random),
        )
        blocks = [msgspec.convert(block, AnyStage) for block in pipeline]
        stages = [block.build(self.tools) for block in (*blocks, RelayPolicy())]
        self.chain: Callable[[Exchange], Awaitable[Reply]] = compose(stages, _nobody)

    def spawn(self, name: str, work: Coroutine[Any, Any, None], /) -> "asyncio.Task[None]":
        """Start a task, to be held until its end."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Let somebody do something."""
        task = self.spawn("user", work)
        del task  # it is held here

    async def ask(self, number: int) -> None:
        """Ask as a user does, read the stream to its end, and keep what came of it."""
        began = self.clock.now
        prompt = {"role": "user", "content": f"Question {number}"}
        model = next(iter(self.providers))
        body = wire.encode({"model": model, "stream": True, "messages": [prompt]})
        exchange = Exchange(
            id=f"req-{number}",
            caller=Caller(),
            request=parse_request("chat", body),
            deadline=began + DEADLINE,
            notes=Notes(),
        )
        first, good = None, False
        try:
            reply = await self.chain(exchange)
            first = self.clock.now - began
            if isinstance(reply, Stream):
                async for _ in reply.blocks:
                    pass
            good = True
        except GatewayError:
            pass
        self.answers.append(Answer(began, self.clock.now, good, first))

    async def run(self, until: float) -> None:
        """Let time pass until then."""
        while self.clock.now < until:
            for _ in range(TURNS):
                await asyncio.sleep(0)
            if not self.clock.move_on(until):
                self.clock.now = until
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def arrive(self, rate: float, until: float) -> None:
        """Send users in at random, `rate` a second, whatever becomes of those before."""
        number = 0
        while self.clock.now < until:
            await self.clock.sleep(self.random.expovariate(rate))
            number += 1
            self.start(self.ask(number))

    async def stay(self, users: int, until: float) -> None:
        """Let so many users ask one question after the other."""

        async def user(name: int) -> None:
            number = name
            while self.clock.now < until:
                await self.ask(number)
                number += users
                await self.clock.sleep(0.5)  # who was refused at once looks at it before asking on

        for name in range(users):
            self.start(user(name))


async def _nobody(_exchange: Exchange) -> Reply:
    raise InternalError("no stage answered")
