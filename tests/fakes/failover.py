"""A failover stage before a relay, and scripted providers, all in virtual time."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import msgspec
import pytest

from gateway.core.capacity import Capacity, Concurrency
from gateway.core.catalogue import Catalogue, Model, Price
from gateway.core.chat import parse_request
from gateway.core.condition import Condition
from gateway.core.errors import GatewayError
from gateway.core.exchange import Caller, Exchange, Route
from gateway.core.health import Health
from gateway.core.notes import Attempted, Notes, Routed, Verdict
from gateway.core.ports import Call, Tools
from gateway.core.reply import Answered, Reply, Stream, Tally, Usage, Whole
from gateway.core.stage import compose
from gateway.providers.transport.upstream_errors import broken, timed_out, upstream_error
from gateway.stages import AnyStage
from gateway.stages.failover.policy import FailoverPolicy
from gateway.stages.failover.targets import Targets
from gateway.stages.relay import RelayPolicy
from gateway.state.memory import memory_state
from tests.fakes.clock import FakeClock, settle
from tests.fakes.relay import STREAM, ScriptedBlocks, Step, nowhere
from tests.fakes.runtime import make_runtime

PRICE = Price(input=1, output=10)
MODELS = {
    "one": Model(provider="a", name="one", price=PRICE, context=8_000),
    "kept": Model(provider="a", name="kept", price=Price(input=1, output=1, cache_write_1h=2)),
    "two": Model(provider="b", name="two", price=Price(input=0.1, output=1), context=200_000),
    "three": Model(provider="c", name="three", context=1_000),
    "short": Model(provider="a", name="short", max_output=500),
    "plain": Model(provider="b", name="plain", capabilities=frozenset({"streaming"})),
}
BODY = json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}}]})
Does = Callable[[Call], BaseException | Sequence[Step] | float | None]
"""What a provider does with a call: fails, streams these steps, or answers (after so long)."""


class Actor:
    """A provider that does what it is told, after `takes` seconds of virtual time."""

    stands_in_for: frozenset[str] = frozenset()

    def __init__(self, name: str, clock: FakeClock) -> None:
        self.name = name
        self.clock = clock
        self.takes = 0.0
        self.does: Does = lambda call: None
        self.calls: list[Call] = []
        self.open: list[ScriptedBlocks] = []
        self.cancelled = 0

    async def send(self, call: Call, /) -> Reply:
        self.calls.append(call)
        seconds = call.target.first_token if call.request.stream else None
        due = None if seconds is None else self.clock.now + seconds
        did = self.does(call)
        takes = did if isinstance(did, float) else self.takes
        try:
            if due is not None and self.clock.now + takes > due:
                await self.clock.sleep(due - self.clock.now)
                raise timed_out("upstream_first_byte_timeout")
            if takes:
                await self.clock.sleep(takes)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(did, BaseException):
            raise did
        answered = Answered(provider=self.name, model=call.target.model.name)
        usage = Usage(input=100, output=7)
        if not call.request.stream:
            return Whole(BODY.encode(), call.request.dialect, usage, answered)
        steps = STREAM if did is None or isinstance(did, float) else did
        tally = Tally(usage=usage)
        blocks = ScriptedBlocks(steps, self.clock, tally)
        self.open.append(blocks)
        return Stream(blocks, tally, call.request.dialect, answered)

    async def warm(self) -> None: ...

    async def aclose(self) -> None: ...


class Told:
    """Keeps what an operator would hear."""

    def __init__(self, news: list[tuple[str, ...]]) -> None:
        self._news = news

    def denied(self, provider: str, detail: str) -> None:
        self._news.append(("denied", provider, detail))

    def restored(self, provider: str) -> None:
        self._news.append(("restored", provider))

    def opened(self, provider: str, model: str, seconds: float) -> None:
        self._news.append(("opened", provider, model))

    def closed(self, provider: str, model: str) -> None:
        self._news.append(("closed", provider, model))


class House:
    """Targets `one` at `a`, `two` at `b` and `three` at `c` unless told otherwise."""

    def __init__(
        self,
        *targets: Mapping[str, Any],
        mode: str = "direct",
        rules: Mapping[str, Concurrency] | None = None,
        **fields: Any,
    ) -> None:
        self.clock = FakeClock()
        self.runtime = make_runtime(self.clock)
        self.news: list[tuple[str, ...]] = []
        self.health = Health(Random(0), Told(self.news))
        self.capacity = Capacity(self.clock, Random(0), rules)
        self.actors = {name: Actor(name, self.clock) for name in ("a", "b", "c", "spare")}
        self.tools = Tools(
            runtime=self.runtime,
            providers=self.actors,
            catalogue=Catalogue(models=MODELS, aliases={"default": "one"}),
            state=memory_state(self.clock),
            capacity=self.capacity,
            health=self.health,
        )
        chosen = targets or ({"model": "one"}, {"model": "two"}, {"model": "three"})
        block = {"stage": "failover", "targets": list(chosen), **fields}
        self.policy = msgspec.convert(block, AnyStage)
        assert isinstance(self.policy, FailoverPolicy)
        relay = RelayPolicy(mode=mode)  # type: ignore[arg-type]
        self.chain = compose([self.policy.build(self.tools), relay.build(self.tools)], nowhere)
        self.notes = Notes()

    def __getattr__(self, name: str) -> Actor:
        return self.actors[name]

    def stage_targets(self) -> Targets:
        assert isinstance(self.policy, FailoverPolicy)
        return Targets(self.policy.targets, self.tools)

    def condition(self, provider: str, model: str) -> Condition:
        return self.health.condition(provider, model)

    def exchange(
        self,
        content: str = "hi",
        *,
        tenant: str = "local",
        models: frozenset[str] | None = None,
        aliases: frozenset[str] = frozenset(),
        deadline: float = 600.0,
        route: Route | None = None,
        max_cost: int | None = None,
        **fields: Any,
    ) -> Exchange:
        body = {"model": "one", "messages": [{"role": "user", "content": content}], **fields}
        self.notes = Notes()
        return Exchange(
            id="req-1",
            caller=Caller(tenant=tenant, models=models, aliases=aliases),
            request=parse_request("chat", json.dumps(body).encode()),
            deadline=self.clock.now + deadline,
            notes=self.notes,
            route=route,
            max_cost=max_cost,
        )

    async def ask(self, content: str = "hi", **more: Any) -> Reply:
        """Ask, with time moving as fast as it can."""
        exchange = self.exchange(content, **more)
        asking = asyncio.ensure_future(self.chain(exchange))
        await settle()
        while not asking.done():
            self.clock.move_on()
            await settle()
        return await asking

    async def failure(self, content: str = "hi", **more: Any) -> GatewayError:
        with pytest.raises(GatewayError) as caught:
            await self.ask(content, **more)
        return caught.value

    async def stream(self, content: str = "hi", **more: Any) -> Stream:
        reply = await self.ask(content, stream=True, **more)
        assert isinstance(reply, Stream)
        return reply

    async def served_by(self, content: str = "hi", **more: Any) -> str:
        return (await self.ask(content, **more)).answered.provider

    @property
    def asked(self) -> list[str]:
        """Whom the last request met, in order."""
        return [note.provider for note in self.notes.all(Attempted)]

    @property
    def route(self) -> str:
        note = self.notes.last(Routed)
        return note.reason if note else ""

    @property
    def verdicts(self) -> list[str]:
        return [note.verdict for note in self.notes.all(Verdict)]


def fails(status: int, body: bytes = b"", **headers: str) -> Does:
    """Answer with an HTTP status, as the transport would tell it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def does(_call: Call) -> GatewayError:
        return upstream_error(status, named, body, "openai", 1_700_000_000.0)

    return does


def breaks(code: str = "upstream_reset") -> Does:
    def does(_call: Call) -> GatewayError:
        return broken(code)

    return does


def in_turn(*doings: Does) -> Does:
    """Do one after the other, and the last from then on."""
    left = list(doings)

    def does(call: Call) -> BaseException | Sequence[Step] | float | None:
        doing = left.pop(0) if len(left) > 1 else left[0]
        return doing(call)

    return does


def well(_call: Call) -> None:
    """Answer."""


def keeps_p4(requests: Sequence[float], tries: Sequence[float]) -> bool:
    """Whether no 10 seconds have more tries than 1.10 a request plus 30, each counted as sent.

    The worst of them begin with a try.
    """
    for start in tries:
        asked = sum(start <= at < start + 10 for at in requests)
        tried = sum(start <= at < start + 10 for at in tries)
        if tried > 1.10 * asked + 30:
            return False
    return True
