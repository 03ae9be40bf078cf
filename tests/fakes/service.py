"""A door in front of a scripted chain: no config files, no providers."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from gateway.core.catalogue import Catalogue, Model, Price
from gateway.core.chat import Dialect
from gateway.core.exchange import Caller, Exchange
from gateway.core.notes import Attempted, Routed
from gateway.core.outcome import Outcome
from gateway.core.ports import Clock
from gateway.core.reply import Answered, Block, Reply, Stream, Tally, Usage, Whole
from gateway.core.secret import Secret
from gateway.core.stage import Next
from gateway.edge.identity import Identity
from gateway.edge.readiness import Readiness
from gateway.edge.server import Edge, open_edge
from gateway.edge.service import Service
from gateway.policy.snapshot import Holder, Snapshot
from gateway.settings import Limits
from tests.fakes.clock import FakeClock
from tests.fakes.runtime import make_runtime

USAGE = Usage(input=10, output=5, cached=2)
ANSWERED = Answered(provider="acme", model="small", request_id="up-1")
CATALOGUE = Catalogue(
    models={
        "small": Model(provider="acme", name="small", price=Price(input=1, output=2)),
        "org/large": Model(provider="acme", name="org/large"),
    },
    aliases={"fast": "small"},
)
WHOLE = Whole(body=b'{"id":"chatcmpl-1","choices":[]}', usage=USAGE, answered=ANSWERED)

Step = bytes | BaseException | asyncio.Event
"""A block to yield, an error to raise, or an event to wait for."""


class FakeBlocks:
    """Blocks from a list of steps; remembers that it was closed."""

    def __init__(self, steps: Sequence[Step], tally: Tally) -> None:
        self._steps = list(steps)
        self._tally = tally
        self.closed = asyncio.Event()

    def __aiter__(self) -> "FakeBlocks":
        return self

    async def __anext__(self) -> Block:
        while self._steps and not self.closed.is_set():
            step = self._steps.pop(0)
            if isinstance(step, asyncio.Event):
                await step.wait()
            elif isinstance(step, BaseException):
                raise step
            else:
                return self._counted(step)
        raise StopAsyncIteration

    def _counted(self, step: bytes) -> Block:
        if b"[DONE]" in step or b"message_stop" in step:
            self._tally.clean = True
            self._tally.usage = USAGE
        self._tally.blocks += 1
        self._tally.size += len(step)
        return Block(step)

    async def aclose(self) -> None:
        self.closed.set()


def make_stream(steps: Sequence[Step], dialect: Dialect = "openai") -> Stream:
    tally = Tally()
    return Stream(FakeBlocks(steps, tally), tally, dialect, ANSWERED)


@dataclass
class FakeChain:
    """Answers with `reply`: a Reply, an error to raise, or a stage of the test's own."""

    reply: Reply | BaseException | Next = WHOLE
    exchanges: list[Exchange] = field(default_factory=list)

    async def __call__(self, exchange: Exchange) -> Reply:
        self.exchanges.append(exchange)
        exchange.notes.add(Routed("small", "acme", "asked for"))
        if isinstance(self.reply, BaseException):
            raise self.reply
        if not isinstance(self.reply, Whole | Stream):
            return await self.reply(exchange)
        exchange.notes.add(Attempted("acme", "small", exchange.deadline, exchange.deadline))
        return self.reply


def make_service(
    chain: Next,
    outcomes: list[Outcome],
    *,
    clock: Clock | None = None,
    keys: Mapping[str, str] | None = None,
    limits: Limits | None = None,
    callers: Mapping[str, Caller] | None = None,
    headers: tuple[str, ...] = (),
    policies: tuple[str, ...] = (),
    **more: Any,
) -> Service:
    if callers is None:
        callers = {name: Caller(tenant=name) for name in keys or {"local": ""}}
    secrets = {name: Secret(value, "test") for name, value in (keys or {}).items()}
    return Service(
        runtime=make_runtime(clock),
        limits=limits or Limits(),
        keys=Identity(secrets),
        holder=Holder(
            Snapshot(
                version="test",
                chains=dict.fromkeys(("default", *policies), chain),
                callers=callers,
                headers=headers,
            )
        ),
        catalogue=CATALOGUE,
        report=outcomes.append,
        readiness=Readiness(),
        **more,
    )


@dataclass
class House:
    """An open door with all that a test wants to look at."""

    edge: Edge
    chain: FakeChain
    outcomes: list[Outcome]
    service: Service

    @property
    def port(self) -> int:
        return self.edge.port

    @property
    def clock(self) -> FakeClock:
        """The clock that stands still."""
        clock = self.service.runtime.clock
        assert isinstance(clock, FakeClock)
        return clock

    async def until_reported(self, count: int = 1) -> Outcome:
        """Wait until so many requests are over, and return the last one's outcome."""
        async with asyncio.timeout(10):
            while len(self.outcomes) < count:
                await asyncio.sleep(0.002)
        return self.outcomes[-1]

    async def until_asked(self, count: int = 1) -> Exchange:
        """Wait until so many requests have reached the chain, and return the last one."""
        async with asyncio.timeout(10):
            while len(self.chain.exchanges) < count:
                await asyncio.sleep(0.002)
        return self.chain.exchanges[-1]


@asynccontextmanager
async def open_house(
    reply: Reply | BaseException | Next = WHOLE, **options: Any
) -> AsyncIterator[House]:
    """Open a door on loopback whose chain answers with `reply`. Time stands still by default."""
    chain = FakeChain(reply)
    outcomes: list[Outcome] = []
    service = make_service(chain, outcomes, **options)
    async with open_edge(service, "127.0.0.1", 0) as edge:
        yield House(edge, chain, outcomes, service)
