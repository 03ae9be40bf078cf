"""A `rate_limit` stage in front of a relay with one scripted provider, in virtual time."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.capacity import Capacity
from gateway.core.catalogue import Catalogue, Model, Price
from gateway.core.charge import Charge, charge_of
from gateway.core.chat import Endpoint, parse_request
from gateway.core.errors import GatewayError, LimitReached
from gateway.core.exchange import Caller, Exchange, Route
from gateway.core.health import Health
from gateway.core.limits import LimitRule
from gateway.core.notes import Limited, Notes, Verdict
from gateway.core.outcome import gather
from gateway.core.ports import Tools
from gateway.core.reply import Reply, Stream, Whole
from gateway.core.stage import compose
from gateway.core.state import State
from gateway.stages.rate_limit import RateLimitPolicy
from gateway.stages.relay import RelayPolicy
from gateway.state.accounts import Counter
from gateway.state.memory import MemoryLimiter, memory_state
from tests.fakes.clock import FakeClock
from tests.fakes.relay import ASK, ScriptedProvider, nowhere
from tests.fakes.relay import MODELS as PLAIN
from tests.fakes.runtime import make_runtime
from tests.fakes.stores import statuses

MODELS = {
    "fast": replace(PLAIN["fast"], endpoints=("chat", "embeddings", "completions")),
    "dear": Model(provider="acme", name="dear", price=Price(input=10, output=100)),
    "short": Model(provider="acme", name="short", price=Price(input=1, output=10), max_output=50),
    "unpriced": Model(provider="acme", name="unpriced"),
}
ALICE = Caller(tenant="alice", fingerprint="a11ce000", labels={"team": "ml"})
BOB = Caller(tenant="bob", fingerprint="b0b00000", labels={"team": "ml"})


class LimitedHouse:
    """One policy with these limits; `counter` looks at what is counted."""

    def __init__(
        self, *limits: Mapping[str, Any], state: State | None = None, **policy: Any
    ) -> None:
        self.clock = FakeClock()
        self.provider = ScriptedProvider(self.clock)
        runtime = make_runtime(self.clock)
        self.tools = Tools(
            runtime=runtime,
            providers={"acme": self.provider},
            catalogue=Catalogue(models=MODELS, aliases={"default": "fast"}),
            state=state or memory_state(self.clock),
            capacity=Capacity(self.clock, runtime.random),
            health=Health(runtime.random),
        )
        self.notes = Notes()
        self.use(*limits, **policy)

    def use(self, *limits: Mapping[str, Any], **policy: Any) -> None:
        """Take other limits into use, as a reload does."""
        rules = tuple(LimitRule(**limit) for limit in limits)
        stages = [RateLimitPolicy(limits=rules, **policy), RelayPolicy()]
        self.chain = compose([stage.build(self.tools) for stage in stages], nowhere)

    async def ask(
        self,
        fields: Mapping[str, Any] = ASK,
        endpoint: Endpoint = "chat",
        *,
        caller: Caller = ALICE,
        address: str = "",
        route: Route | None = None,
        **more: Any,
    ) -> Reply:
        request = parse_request(endpoint, json.dumps({**fields, **more}).encode())
        self.notes = notes = Notes()
        exchange = Exchange(
            id=self.tools.runtime.new_id(),
            caller=caller,
            request=request,
            deadline=self.clock.now + 600.0,
            notes=notes,
            route=route,
            drop_params=True,
            address=address,
        )
        return await self.chain(exchange)

    async def whole(self, **more: Any) -> Whole:
        reply = await self.ask(**more)
        assert isinstance(reply, Whole)
        return reply

    async def stream(self, **more: Any) -> Stream:
        reply = await self.ask(stream=True, **more)
        assert isinstance(reply, Stream)
        return reply

    async def refused(self, **more: Any) -> LimitReached:
        with pytest.raises(LimitReached) as caught:
            await self.ask(**more)
        return caught.value

    async def failure(self, **more: Any) -> GatewayError:
        with pytest.raises(GatewayError) as caught:
            await self.ask(**more)
        return caught.value

    @property
    def counters(self) -> dict[str, Counter]:
        limiter = self.tools.state.limiter
        assert isinstance(limiter, MemoryLimiter)
        return limiter.accounts.counters

    @property
    def counter(self) -> Counter:
        """The one count there is."""
        (counter,) = self.counters.values()
        return counter

    @property
    def leases(self) -> int:
        """How many requests hold something."""
        limiter = self.tools.state.limiter
        assert isinstance(limiter, MemoryLimiter)
        return len(limiter.accounts.leases)

    @property
    def charge(self) -> Charge:
        """What the last request was charged for."""
        return charge_of(gather(self.notes))

    @property
    def verdict(self) -> str:
        (verdict,) = self.notes.all(Verdict)
        return verdict.verdict

    @property
    def left(self) -> list[int]:
        """How much of each limit was left once the last request was let in or refused."""
        (limited,) = self.notes.all(Limited)
        return [each.remaining for each in statuses(limited.standing)]
