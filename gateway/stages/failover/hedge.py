"""A second request while the first is slow to begin: whoever begins first answers."""

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from gateway.core.chat import ChatRequest
from gateway.core.errors import GatewayError
from gateway.core.estimate import input_tokens
from gateway.core.exchange import Exchange
from gateway.core.money import cost
from gateway.core.notes import Wasted
from gateway.core.ports import Runtime, Task
from gateway.core.reply import Reply, Stream, Usage
from gateway.core.retry_budget import RetryBudget
from gateway.stages.failover.targets import Candidate

SLOW: Final = 0.95
"""The share of first tokens that come before a second request is worth it."""
_OURS: Final = frozenset({"function", "custom", None})
"""Tools of these types are run by the caller; others may do something before the answer is in."""
_ACTING: Final = ("mcp_servers", "web_search_options", "container", "plugins")
"""Fields that have the provider act, unless they are empty; `{}` asks for what is usual."""


class HedgePolicy(Struct, frozen=True, forbid_unknown_fields=True):
    """When a stream is slow to begin, ask the next target too."""

    extra: Annotated[
        float,
        Meta(
            gt=0,
            le=50,
            description="Percent of all spending that second requests may add, by list price.",
        ),
    ]


class Hedging:
    """When a stage may send a second request, and what that costs."""

    def __init__(self, policy: HedgePolicy, runtime: Runtime) -> None:
        self._share = policy.extra / 100
        self.runtime = runtime

    def earn(self, budget: RetryBudget) -> None:
        """Count a request, which pays for a part of a second one."""
        budget.earn(self._share)

    def delay(self, candidate: Candidate, exchange: Exchange) -> float | None:
        """Return the seconds after which a second request is worth it, None where it never is."""
        if not exchange.request.stream or acts(exchange.request):
            return None
        return candidate.condition.first_tokens.quantile(SLOW)

    def price(self, first: Candidate, second: Candidate, request: ChatRequest) -> float | None:
        """Return what a second request costs, in first ones; None when that is not known."""
        prices = first.model.price, second.model.price
        if None in prices:
            return 1.0 if prices == (None, None) else None
        return second.worst_cost(request, 0) / max(1, first.worst_cost(request, 0))


def acts(request: ChatRequest) -> bool:
    """Whether the provider may run tools for this request by itself: twice would be once too often.

    Tools of a type that is not known are taken to be such.
    """
    fields = request.fields
    if any(fields.get(name) not in (None, [], "") for name in _ACTING):
        return True
    tools = fields.get("tools")
    kinds = [tool.get("type") for tool in tools if isinstance(tool, dict)] if tools else []
    return any(kind not in _OURS for kind in kinds)


def wasted(candidate: Candidate, request: ChatRequest) -> Wasted:
    """Return the note of an attempt that nobody got an answer of: its input is billed."""
    model = candidate.model
    used = Usage(input=input_tokens(request))
    price = None if model.price is None else cost(used, model.price)
    return Wasted(model.provider, model.name, used.input, price)


class Run:
    """One of two requests, under way as a task of its own."""

    __slots__ = ("candidate", "error", "over", "reply", "task")

    def __init__(self, candidate: Candidate) -> None:
        self.candidate = candidate
        self.reply: Reply | None = None
        self.error: GatewayError | None = None
        self.over = asyncio.Event()
        self.task: Task


class Race:
    """Two requests, and a bell that rings when there is something to look at."""

    def __init__(self, runtime: Runtime) -> None:
        self.runs: list[Run] = []
        self._bell = asyncio.Event()
        self._runtime = runtime

    def start(self, candidate: Candidate, work: Coroutine[Any, Any, Reply | None]) -> None:
        """Begin a request."""
        run = Run(candidate)

        async def follow() -> None:
            try:
                run.reply = await work
            except GatewayError as error:
                run.error = error.again()  # an equal one, which holds no frames
            finally:
                run.over.set()
                self._bell.set()

        self.runs.append(run)
        run.task = self._runtime.spawn("hedged request", follow())

    async def winner(self, seconds: float | None = None) -> Run | None:
        """Return whoever answered first; None when nobody did, or not within `seconds`."""
        timer = None if seconds is None else self._runtime.clock.after(seconds, self._bell.set)
        try:
            while not self._found() and self.under_way:
                self._bell.clear()
                await self._bell.wait()
                if timer is not None:
                    break
        finally:
            if timer is not None:
                timer.cancel()
        return self._found()

    @property
    def under_way(self) -> bool:
        """Whether somebody may still answer."""
        return any(not run.over.is_set() for run in self.runs)

    def _found(self) -> Run | None:
        return next((run for run in self.runs if run.reply is not None), None)

    async def end(self, winner: Run | None) -> list[Run]:
        """Cancel all but the winner, wait for their end, and return those that were under way."""
        losers = [run for run in self.runs if run is not winner and not run.over.is_set()]
        for run in losers:
            run.task.cancel()
        for run in self.runs:
            if run is not winner:
                await run.over.wait()
                if isinstance(run.reply, Stream):
                    await run.reply.blocks.aclose()
        return losers
