"""A router before a relay, and scripted providers for its tiers, all in virtual time."""

import json
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, cast

import msgspec

from gateway.core.capacity import Capacity
from gateway.core.catalogue import Capability, Catalogue, Model, Price
from gateway.core.chat import Endpoint, parse_request
from gateway.core.exchange import Caller, Exchange
from gateway.core.health import Health
from gateway.core.notes import Notes, Tiered, Verdict
from gateway.core.ports import Tools
from gateway.core.reply import Reply, Stream
from gateway.core.stage import compose
from gateway.stages import AnyStage
from gateway.stages.base import StagePolicy
from gateway.stages.complexity_router.policy import ComplexityRouterPolicy
from gateway.stages.relay import RelayPolicy
from gateway.state.memory import memory_state
from gateway.state.tallies import SharedTallies
from tests.fakes.clock import FakeClock
from tests.fakes.failover import Actor
from tests.fakes.relay import nowhere
from tests.fakes.runtime import make_runtime

ABLE: frozenset[Capability] = frozenset({"streaming", "tools", "json_schema"})
SEEING: frozenset[Capability] = ABLE | {"vision"}
MODELS = {
    "mini": Model(
        provider="a",
        name="mini",
        price=Price(input=0.15, output=0.6, cached=0.075),
        context=4_000,
        max_output=500,
        capabilities=ABLE,
    ),
    "haiku": Model(
        provider="b",
        name="haiku",
        price=Price(input=1, output=5, cached=0.1),
        capabilities=SEEING,
    ),
    "sonnet": Model(
        provider="c",
        name="sonnet",
        price=Price(input=3, output=15, cached=0.3),
        capabilities=SEEING,
    ),
    "old": Model(provider="a", name="old", endpoints=("completions",)),
    "older": Model(provider="b", name="older", endpoints=("completions",)),
    "vectors": Model(provider="a", name="vectors", endpoints=("embeddings",)),
}
ALIASES = {
    "turnout/auto": "sonnet",
    "turnout/fast": "mini",
    "turnout/balanced": "haiku",
    "turnout/complex": "sonnet",
    "smart": "sonnet",
}
TIERS: Sequence[Mapping[str, str]] = (
    {"name": "fast", "model": "mini"},
    {"name": "balanced", "model": "haiku"},
    {"name": "complex", "model": "sonnet"},
)
CATALOGUE = Catalogue(models=MODELS, aliases=ALIASES)
EASY = "Who was the king of France in 1700?"
HARD = (
    "Prove that every polynomial of odd degree has a real root, and implement a numerically stable"
    " algorithm in python that finds it. Explain step by step why it converges, analyse its"
    " complexity, compare it with Newton's method, and give counterexamples where that one"
    " diverges. The output must be valid JSON with the keys proof, code and analysis."
)
PICTURE = [
    {"type": "text", "text": EASY},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
]


def policy(**fields: Any) -> ComplexityRouterPolicy:
    """The policy of three tiers, with these fields changed."""
    block = {"tiers": TIERS, "target": {"shares": [0.6, 0.3, 0.1]}, **fields}
    found = msgspec.convert({"stage": "complexity_router", **block}, AnyStage)
    assert isinstance(found, ComplexityRouterPolicy)
    return found


class RoutedHouse:
    """Tiers fast, balanced and complex at providers `a`, `b` and `c`."""

    def __init__(
        self,
        chosen: ComplexityRouterPolicy | None = None,
        *behind: Mapping[str, Any],
        providers: Sequence[str] = "abc",
    ) -> None:
        self.clock = FakeClock()
        self.actors = {name: Actor(name, self.clock) for name in providers}
        state = memory_state(self.clock)
        self.tallies = cast("SharedTallies", state.tallies)
        self.tools = Tools(
            runtime=make_runtime(self.clock),
            providers=self.actors,
            catalogue=CATALOGUE,
            state=state,
            capacity=Capacity(self.clock, Random(0)),
            health=Health(Random(0)),
        )
        blocks: list[StagePolicy] = [chosen or policy()]
        blocks += [msgspec.convert(block, AnyStage) for block in behind]
        stages = [block.build(self.tools) for block in (*blocks, RelayPolicy())]
        self.chain = compose(stages, nowhere)
        self.notes = Notes()

    def exchange(
        self,
        content: Any = EASY,
        *,
        caller: Caller | None = None,
        headers: Mapping[str, str] | None = None,
        endpoint: Endpoint = "chat",
        max_cost: int | None = None,
        **fields: Any,
    ) -> Exchange:
        messages = [{"role": "user", "content": content}]
        body = {"model": "turnout/auto", "messages": messages, **fields}
        self.notes = Notes()
        return Exchange(
            id="req-1",
            caller=caller or Caller(),
            request=parse_request(endpoint, json.dumps(body).encode()),
            deadline=self.clock.now + 600,
            notes=self.notes,
            headers=headers or {},
            max_cost=max_cost,
        )

    async def ask(self, content: Any = EASY, **more: Any) -> Reply:
        reply = await self.chain(self.exchange(content, **more))
        if isinstance(reply, Stream):
            async for _ in reply.blocks:
                pass
        return reply

    async def tier(self, content: Any = EASY, **more: Any) -> str:
        """Ask, and return the tier, by what, and why."""
        await self.ask(content, **more)
        return self.told

    @property
    def told(self) -> str:
        note = self.notes.last(Tiered)
        return f"{note.tier} by {note.step}: {note.reason}" if note else "no tier"

    @property
    def verdicts(self) -> list[str]:
        return [note.verdict for note in self.notes.all(Verdict)]

    @property
    def asked(self) -> list[int]:
        """How many calls each provider had."""
        return [len(actor.calls) for actor in self.actors.values()]

    async def look(self, seconds: float = 5.0) -> None:
        """Let time pass, and the process see what was counted."""
        self.clock.now += seconds
        await self.tallies.look()
