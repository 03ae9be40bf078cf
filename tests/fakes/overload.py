"""Crowds in front of a relay and a simulated provider that saturates, in virtual time."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import merge
from random import Random
from statistics import median
from typing import Any

from gateway.core import wire
from gateway.core.capacity import Capacity, Concurrency, Slots
from gateway.core.catalogue import Catalogue, Model
from gateway.core.chat import parse_request
from gateway.core.errors import GatewayError
from gateway.core.exchange import Caller, Exchange, Priority
from gateway.core.health import Health
from gateway.core.notes import Notes, Queued
from gateway.core.ports import Tools
from gateway.core.reply import Stream
from gateway.providers.simulated.laws import Saturating
from gateway.providers.simulated.provider import SimulatedConfig
from gateway.stages.relay import RelayPolicy
from gateway.state.memory import memory_state
from tests.fakes.clock import FakeClock, settle
from tests.fakes.relay import nowhere
from tests.fakes.runtime import make_runtime

MODEL = Model(provider="sim", name="demo")


@dataclass
class Ask:
    """One request and what became of it. Times are seconds of the virtual clock."""

    at: float
    tenant: str
    priority: Priority = "normal"
    tokens: int = 100
    patience: float = 60.0
    stream: bool = True
    first: float | None = None
    ended: float | None = None
    queued: float = 0.0
    code: str = ""
    retry_after: float = 0.0

    @property
    def ok(self) -> bool:
        return self.ended is not None and not self.code

    @property
    def latency(self) -> float:
        assert self.ended is not None
        return self.ended - self.at


class Town:
    """A provider with room for `places`, each answer taking about `seconds` when it has one."""

    def __init__(
        self,
        *,
        places: int,
        seconds: float,
        rule: Concurrency | None = None,
        sigma: float = 0.1,
        tokens: int = 10,
        seed: int = 1,
    ) -> None:
        self.clock = FakeClock(0.0)
        runtime = make_runtime(self.clock)
        first = 0.15 * seconds
        law = Saturating(
            first_token=first,
            gap=(seconds - first) / (tokens - 1),
            sigma=sigma,
            concurrency=places,
        )
        self.provider = SimulatedConfig(
            latency=law, answer_tokens=tokens, seed=seed, patience=3600
        ).build("sim", runtime)
        self.capacity = Capacity(self.clock, Random(seed), {"sim": rule or Concurrency()})
        tools = Tools(
            runtime=runtime,
            providers={"sim": self.provider},
            catalogue=Catalogue(models={"demo": MODEL}),
            state=memory_state(self.clock),
            capacity=self.capacity,
            health=Health(runtime.random),
        )
        self._stage = RelayPolicy().build(tools)
        self._sent = 0

    @property
    def slots(self) -> Slots:
        return self.capacity.at(MODEL)

    async def send(self, ask: Ask) -> Ask:
        """Send it now and read its answer to the end."""
        self._sent += 1
        exchange = self._exchange(ask)
        try:
            reply = await self._stage(exchange, nowhere)
            if isinstance(reply, Stream):
                ask.first = self.clock.now
                async for _ in reply.blocks:
                    pass
        except GatewayError as error:
            ask.code, ask.retry_after = error.code, error.retry_after or 0.0
        ask.ended = self.clock.now
        ask.queued = sum(note.seconds for note in exchange.notes.all(Queued))
        return ask

    def _exchange(self, ask: Ask) -> Exchange:
        body: dict[str, Any] = {
            "model": "demo",
            "messages": [{"role": "user", "content": f"{self._sent} " + "word " * ask.tokens}],
            "stream": ask.stream,
        }
        return Exchange(
            id=f"req-{self._sent}",
            caller=Caller(tenant=ask.tenant, priority=ask.priority),
            request=parse_request("chat", wire.encode(body)),
            deadline=self.clock.now + ask.patience,
            notes=Notes(),
        )

    async def visit(self, asks: Iterable[Ask], until: float) -> list[Ask]:
        """Send each when its time comes, whatever became of the others, and let time pass."""
        sent, tasks = list[Ask](), set[asyncio.Task[Ask]]()
        for ask in asks:
            await self.clock.advance(ask.at - self.clock.now)
            sent.append(ask)
            tasks.add(asyncio.ensure_future(self.send(ask)))
            await settle(3)
        await self.clock.advance(until - self.clock.now)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return sent

    async def crowd(self, users: int, until: float, **facts: Any) -> list[Ask]:
        """Let so many users ask again and again; return what ended."""
        ended: list[Ask] = []

        async def user() -> None:
            while True:
                ask = await self.send(Ask(self.clock.now, "t", **facts))
                ended.append(ask)
                if ask.code:
                    await self.clock.sleep(ask.retry_after)

        tasks = [asyncio.ensure_future(user()) for _ in range(users)]
        await self.clock.advance(until - self.clock.now)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return ended


def arrivals(seed: str, rate: float, start: float, end: float, **facts: Any) -> list[Ask]:
    """Requests at random moments (Poisson), `rate` a second."""
    chance, at, asks = Random(seed), start, list[Ask]()
    while (at := at + chance.expovariate(rate)) < end:
        asks.append(Ask(at, **facts))
    return asks


def together(*crowds: Sequence[Ask]) -> list[Ask]:
    return list(merge(*crowds, key=lambda ask: ask.at))


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def middle(values: Iterable[float]) -> float:
    return median(list(values) or [0.0])
