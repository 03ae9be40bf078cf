"""How far a budget can be overspent: never beyond what is stated in docs/tenants-and-quotas.md."""

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.errors import LimitReached, StreamCut
from gateway.core.reply import Stream, Usage
from tests.fakes.limited import LimitedHouse
from tests.fakes.relay import ASK, STREAM, read

INPUT = 5
"""What ASK is guessed at, and what the provider says that it was."""
LONGEST = 3000

Step = tuple[str, int, float]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "end", "leave", "cut", "age"]),
        st.integers(1, LONGEST),
        st.floats(0, 1),
    ),
    max_size=40,
)


class Life:
    """Requests that begin and end in any order, each with its own use of what it may use."""

    def __init__(self, *limits: dict[str, Any]) -> None:
        self.house = LimitedHouse(*limits)
        self.open: list[tuple[Stream, int]] = []
        self.worst = 0
        """The most by which one open request's reservation can be exceeded, summed."""

    async def step(self, step: Step, *, stated: bool) -> None:
        kind, most, share = step
        if kind == "ask":
            await self.ask(most, share, stated=stated)
        elif kind == "age":
            self.house.clock.now += share
        elif self.open:
            stream, _ = self.open.pop(most % len(self.open))
            if kind == "leave":
                await stream.blocks.aclose()
            else:
                await read_or_break(stream)

    async def ask(self, most: int, share: float, *, stated: bool) -> None:
        provider = self.house.provider
        used = round((most if stated else LONGEST) * share)
        provider.usage = Usage(input=INPUT, output=used)
        provider.steps = [*STREAM[:2], StreamCut("x")] if used % 7 == 0 else STREAM
        fields = {**ASK, "max_tokens": most} if stated else ASK
        held = self.house.counter.held if self.house.counters else 0
        try:
            stream = await self.house.stream(fields=fields)
        except LimitReached:
            return
        reserved = self.house.counter.held - held
        self.worst += max(0, INPUT + LONGEST - reserved)
        self.open.append((stream, used))


async def read_or_break(stream: Stream) -> None:
    try:
        await read(stream)
    except StreamCut:
        return


async def live(life: Life, steps: list[Step], *, stated: bool) -> None:
    for step in steps:
        await life.step(step, stated=stated)
    while life.open:
        stream, _ = life.open.pop()
        await stream.blocks.aclose()


@settings(max_examples=200)
@given(STEPS, st.integers(10, 20_000))
def test_with_max_tokens_a_budget_is_never_overspent(steps: list[Step], limit: int) -> None:
    life = Life({"tokens": limit, "each": "month"})
    asyncio.run(live(life, steps, stated=True))
    for counter in life.house.counters.values():
        assert 0 <= counter.spent <= limit
        assert counter.held == 0
    assert life.house.leases == 0


@settings(max_examples=200)
@given(STEPS, st.integers(10, 20_000))
def test_without_it_no_more_than_what_was_under_way_beyond_what_was_learned(
    steps: list[Step], limit: int
) -> None:
    life = Life({"tokens": limit, "each": "month"})
    asyncio.run(live(life, steps, stated=False))
    for counter in life.house.counters.values():
        assert 0 <= counter.spent <= limit + life.worst
        assert counter.held == 0
    assert life.house.leases == 0
