"""The stage: a tier for each request that leaves the choice to us, and why it is this one."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from gateway.core.chat import ChatRequest
from gateway.core.errors import Forbidden
from gateway.core.exchange import Exchange
from gateway.core.notes import Routed, Step, Tiered, Used, Verdict
from gateway.core.ports import Tools
from gateway.core.reply import Reply, Stream, when_over
from gateway.core.stage import Next
from gateway.stages.complexity_router.conversations import (
    Conversations,
    Held,
    bond,
    key_of,
    stays,
)
from gateway.stages.complexity_router.directions import Direction
from gateway.stages.complexity_router.features import Asked, asked_by
from gateway.stages.complexity_router.scoring import Scale, Scored, Scoring
from gateway.stages.complexity_router.tiers import Tier, nearest
from gateway.stages.needs import CHAT

NAME: Final = "complexity_router"
AUTO: Final = -1
"""In place of a tier: by what is asked."""
LARGE: Final = 256 << 10
"""Bytes of a request that is read in a thread: on the loop it would keep others waiting."""
_SERVED: Final = CHAT | {"completions"}


class Decision(Struct, frozen=True):
    """A tier, by what it was chosen, and why; `ill` when it stands in for one that is ill."""

    tier: int
    step: Step
    reason: str
    ill: bool = False


class Look(Struct, frozen=True):
    """What is read of a request's text."""

    key: bytes
    """Its conversation."""
    asked: Asked | None
    """None where that failed."""
    failure: str = ""


_PINNED: Final = Look(b"", None)


class Plan(Struct, frozen=True, kw_only=True):
    """What a policy says, ready to be used."""

    tiers: Sequence[Tier]
    names: Mapping[str, int]
    """The names that are ours: the tier that each asks for, or AUTO."""
    reroute: bool
    directions: Sequence[Direction]
    scales: Sequence[Scale]
    fallback: int


class ComplexityRouter:
    """Chooses tiers. What it knows of conversations ends with the policy's next reload."""

    def __init__(self, plan: Plan, tools: Tools) -> None:
        self._plan = plan
        self._tools = tools
        self._clock = tools.runtime.clock
        self._models = [tier.model for tier in plan.tiers]
        self._conversations = Conversations()
        self._scoring: Scoring | None = None

    async def __call__(self, exchange: Exchange, proceed: Next, /) -> Reply:
        """Send a request to its tier. Raises Forbidden where the caller may go to none.

        What names a model passes by, unless the policy says otherwise.
        """
        pinned = self._pin(exchange.request)
        if pinned is None or exchange.route is not None:
            return await proceed(exchange)
        look = _PINNED
        if pinned == AUTO:
            large = len(exchange.request.body) > LARGE
            look = await asyncio.to_thread(_look, exchange) if large else _look(exchange)
        key, now = look.key, self._clock.monotonic()
        decided = self._decide(exchange, pinned, look.asked, now, self._conversations.find(key))
        if look.failure:
            exchange.notes.add(Verdict(NAME, f"scoring failed: {look.failure}"))
        tier, notes = self._plan.tiers[decided.tier], exchange.notes
        if decided.ill:  # so that no answer is kept that another model would have given
            notes.add(Routed(tier.model.name, tier.model.provider, "", fallback=True))
        model = tier.model
        notes.add(Tiered(tier.name, decided.step, decided.reason, model.name, model.provider))
        held = None
        if pinned == AUTO and exchange.request.endpoint != "count_tokens":
            held = self._conversations.keep(key, decided.tier, now)
        reply = await proceed(exchange.with_route(tier.route))
        if isinstance(reply, Stream):
            return when_over(
                reply, lambda: self._learn(exchange, decided.tier, held), self._clock.monotonic
            )
        self._learn(exchange, decided.tier, held)
        return reply

    def _pin(self, request: ChatRequest) -> int | None:
        """Return the tier that is asked for, AUTO where it is ours to choose, None where not."""
        pinned = self._plan.names.get(request.model)
        if pinned is not None or not self._plan.reroute or request.endpoint not in _SERVED:
            return pinned
        catalogue = self._tools.catalogue
        known = request.model in catalogue.models or request.model in catalogue.aliases
        return AUTO if known else None

    def _decide(
        self, exchange: Exchange, pinned: int, asked: Asked | None, now: float, held: Held | None
    ) -> Decision:
        tiers = self._plan.tiers
        open_to = [index for index, tier in enumerate(tiers) if tier.admits(exchange)]
        if not open_to or (pinned != AUTO and pinned not in open_to):
            raise Forbidden(
                "This key may not use the models behind this name. GET /v1/models lists what it"
                " may use.",
                code="model_not_allowed",
                param="model",
            )
        if pinned != AUTO:
            return Decision(pinned, "pin", "asked for")
        misfits = {index: tiers[index].misfit(exchange) for index in open_to}
        able = [index for index, misfit in misfits.items() if not misfit]
        if not able:
            lacks = ", ".join(dict.fromkeys(misfits.values()))
            return Decision(open_to[-1], "fit", f"no tier fits: {lacks}")
        if held is not None and held.tier in able and (why := bond(exchange.request)):
            return Decision(held.tier, "kept", f"kept for {why}")
        held = held if held is not None and held.warm(now) else None
        if exchange.request.endpoint == "count_tokens":  # no prompt of its own: not counted as one
            return Decision(held.tier if held and held.tier in able else able[0], "kept", "counted")
        fallback = Decision(self._plan.fallback, "fallback", "scoring failed")
        wanted = fallback if asked is None else self._wanted(exchange, asked, held, able)
        return self._fitting(wanted, able, misfits, now)

    def _wanted(
        self, exchange: Exchange, asked: Asked, held: Held | None, able: Sequence[int]
    ) -> Decision:
        """Return what rules, conversation and score say, be the tier one of `able` or not."""
        tiers = self._plan.tiers
        least: Direction | None = None
        for each in self._plan.directions:
            if (each.fixed or least is None or each.tier > least.tier) and each.holds(
                exchange, asked
            ):
                if each.fixed:
                    return Decision(each.tier, "rule", f"rule {each.name}")
                least = each
        scored = self._score(exchange, asked)
        wanted = Decision(scored.tier, scored.step, scored.reason)
        if least is not None and wanted.tier < least.tier:
            wanted = Decision(least.tier, "rule", f"rule {least.name}: no lower tier")
        would = nearest(wanted.tier, able)
        why = "" if held is None else stays(held, would, self._models)
        if held is None or not why:
            return wanted
        return Decision(held.tier, "kept", f"kept: {why} ({tiers[would].name} would do)")

    def _score(self, exchange: Exchange, asked: Asked) -> Scored:
        """Return the tier by score; whatever fails there, the request goes on."""
        fallback = self._plan.fallback
        try:
            if self._scoring is None:
                models = ">".join(model.name for model in self._models)
                name = f"{exchange.policy}/{models}"
                self._scoring = Scoring(name, self._plan.scales, self._models, self._tools)
            scored = self._scoring.place(asked, fallback)
        except Exception as error:  # noqa: BLE001 - no fault in scoring is worth a caller's error
            exchange.notes.add(Verdict(NAME, f"scoring failed: {type(error).__name__}"))
            return Scored(fallback, "fallback", "scoring failed")
        if scored.drift:
            exchange.notes.add(Verdict(NAME, f"drift: {scored.drift}"))
        return scored

    def _fitting(
        self, wanted: Decision, able: Sequence[int], misfits: Mapping[int, str], now: float
    ) -> Decision:
        """Return the decision itself, or the next tier that can take the request and is well."""
        tiers = self._plan.tiers
        able_now = nearest(wanted.tier, able)
        well = [index for index in able if tiers[index].condition.available(now)]
        final = nearest(wanted.tier, well or able)
        if final == wanted.tier:
            return wanted
        name = tiers[wanted.tier].name
        lacks = misfits.get(wanted.tier, "tenant")
        why = f"{name} lacks {lacks}" if lacks else f"{name} is left alone"
        ill = final != able_now
        return Decision(final, "fit", f"{wanted.reason}; {why}", ill)

    def _learn(self, exchange: Exchange, tier: int, held: Held | None) -> None:
        """Heed what an answer used, unless another model than the tier's gave it."""
        used = exchange.notes.last(Used)
        if used is None or used.model != self._models[tier].name:
            return
        if held is not None:
            held.usage = used.usage
        if self._scoring is not None:
            self._scoring.spent(tier, used.usage)


def _look(exchange: Exchange) -> Look:
    """Read a request; whatever fails there, it goes on."""
    key = key_of(exchange)
    try:
        return Look(key, asked_by(exchange.request))
    except Exception as error:  # noqa: BLE001 - no fault in scoring is worth a caller's error
        return Look(key, None, type(error).__name__)
