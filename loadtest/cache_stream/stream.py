"""The run: questions by popularity, what became of them, and how the threshold went."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Final

from msgspec import Struct

from gateway.core.hit_budget import Standing
from gateway.stages.semantic_cache.lookup import SemanticPolicy
from loadtest.cache_stream.intents import Intent
from loadtest.cache_stream.world import World

ZIPF: Final = 0.8
"""How much oftener the popular is asked for: the n-th most popular intent has weight 1/n^ZIPF."""
EVERY: Final = 100
"""Requests between two points of a line."""


class Run(Struct, frozen=True):
    """What became of a stream."""

    name: str
    asked: int
    results: Mapping[str, int]
    wrong: int
    audits: Mapping[str, int]
    upstream: int
    standing: Standing
    thresholds: Sequence[tuple[int, float]]
    shares: Sequence[tuple[int, float]]
    """Wrong ones of all semantic hits so far, by the number of the request."""
    late: tuple[int, int]
    """Semantic hits of the second half, and the wrong ones of them."""

    @property
    def semantic(self) -> int:
        """Semantic hits."""
        return self.results.get("hit-semantic", 0)


async def run(
    name: str,
    intents: Sequence[Intent],
    semantic: SemanticPolicy,
    number: int,
    data: Path,
    *,
    seed: int = 1,
) -> Run:
    """Ask `number` questions and count."""
    random = Random(seed)
    popular = random.sample(list(intents), len(intents))
    weights = list(accumulate((n + 1) ** -ZIPF for n in range(len(popular))))
    results: Counter[str] = Counter()
    wrong = late_hits = late_wrong = 0
    thresholds, shares = list[tuple[int, float]](), list[tuple[int, float]]()
    opened = await asyncio.to_thread(World, intents, semantic, data, seed)
    async with opened as world:
        for count in range(1, number + 1):
            (intent,) = random.choices(popular, cum_weights=weights)
            asked = await world.ask(intent, random.choice(intent.questions))
            results[asked.result] += 1
            if asked.result == "hit-semantic":
                wrong += asked.wrong
                late_hits += count > number // 2
                late_wrong += asked.wrong and count > number // 2
            if count % EVERY == 0 or count == 1:
                standing = world.standing
                thresholds.append((count, standing.threshold if standing.serves else 1.0))
                shares.append((count, wrong / max(1, results["hit-semantic"])))
        return Run(
            *(name, number, dict(results), wrong, world.events, world.oracle.calls),
            *(world.standing, thresholds, shares, (late_hits, late_wrong)),
        )
