"""In which order a request's targets are tried."""

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from math import inf, log
from random import Random
from typing import Any, Final, Literal

from gateway.core import wire
from gateway.core.exchange import Exchange
from gateway.stages.failover.targets import Candidate

Strategy = Literal["ordered", "weighted", "fastest", "reliable", "cheapest", "balanced"]
Order = Callable[[Sequence[Candidate], Exchange, float], Sequence[Candidate]]
CROWDED: Final = 1.25
"""A conversation leaves a target with more than so many times the mean of all that is under way."""
_TOP: Final = float(1 << 64)


def strategy(name: Strategy, random: Random, *, sticky: bool) -> Order:
    """Return how to order targets at a time. Those that may not be asked now are among them."""
    if name == "weighted":
        return _by_conversation(crowding=False) if sticky else _weighted(random)
    if name == "balanced":
        return _by_conversation(crowding=True) if sticky else _balanced(random)
    if name == "fastest":
        return _fastest(random)
    return _ORDERS[name]


def _as_listed(
    candidates: Sequence[Candidate], _exchange: Exchange, _now: float
) -> Sequence[Candidate]:
    return candidates


def _most_reliable(
    candidates: Sequence[Candidate], _exchange: Exchange, _now: float
) -> Sequence[Candidate]:
    return sorted(candidates, key=lambda each: -each.condition.record.bound())


def _cheapest(
    candidates: Sequence[Candidate], exchange: Exchange, _now: float
) -> Sequence[Candidate]:
    if len(candidates) == 1:
        return candidates
    return sorted(candidates, key=lambda each: _price(each, exchange))


def _price(candidate: Candidate, exchange: Exchange) -> float:
    if candidate.model.price is None:
        return inf
    return candidate.worst_cost(exchange.request, 0)


_ORDERS: Final[Mapping[str, Order]] = {
    "ordered": _as_listed,
    "reliable": _most_reliable,
    "cheapest": _cheapest,
}


def _weighted(random: Random) -> Order:
    def order(candidates: Sequence[Candidate], _e: Exchange, _now: float) -> Sequence[Candidate]:
        # Of exponential times with these rates the first is each one's with its share of chances.
        return sorted(candidates, key=lambda each: random.expovariate(each.weight))

    return order


def _fastest(random: Random) -> Order:
    def order(candidates: Sequence[Candidate], _e: Exchange, now: float) -> Sequence[Candidate]:
        def wait(each: Candidate) -> float:
            return each.condition.speed.cost(each.condition.outstanding, now)

        able = [each for each in candidates if each.condition.available(now)]
        if len(able) < 2:  # noqa: PLR2004 - a choice takes two
            return candidates
        # Two at random, not the best of all: else every request runs to the same one at once.
        first = min(random.sample(able, 2), key=wait)
        rest = sorted((each for each in candidates if each is not first), key=wait)
        return [first, *rest]

    return order


def _balanced(random: Random) -> Order:
    def order(candidates: Sequence[Candidate], _e: Exchange, _now: float) -> Sequence[Candidate]:
        return sorted(candidates, key=lambda c: (_load(c), random.random()))

    return order


def _by_conversation(*, crowding: bool) -> Order:
    """Return the order that all requests of one conversation have, by rendezvous hashing."""

    def order(candidates: Sequence[Candidate], exchange: Exchange, _now: float) -> list[Candidate]:
        start = beginning(exchange.request.fields)
        ranked = sorted(candidates, key=lambda each: _draw(start, each))
        if crowding:
            mean = sum(map(_load, ranked)) / len(ranked)
            ranked.sort(key=lambda each: _load(each) > CROWDED * mean + 1)
        return ranked

    return order


def _load(candidate: Candidate) -> float:
    return candidate.condition.outstanding / candidate.weight


def _draw(start: bytes, candidate: Candidate) -> float:
    name = f"{candidate.model.provider}\0{candidate.model.name}".encode()
    digest = blake2b(start + name, digest_size=8).digest()
    chance = (int.from_bytes(digest, "big") + 1) / (_TOP + 1)
    return -log(chance) / candidate.weight


def beginning(fields: Mapping[str, Any]) -> bytes:
    """Return what all requests of a conversation begin with: all up to the first user message."""
    messages = fields.get("messages")
    turns = messages if isinstance(messages, list) else []
    asked = (
        i for i, turn in enumerate(turns) if isinstance(turn, dict) and turn.get("role") == "user"
    )
    first = next(asked, len(turns))
    head = [fields.get("system"), fields.get("prompt"), turns[: first + 1]]
    return blake2b(wire.encode(head), digest_size=16).digest()
