"""B01, B09 and B13: no tenant gets, sees or loses anything because of another."""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.answers import Selection
from gateway.core.cache import Cache
from gateway.core.exchange import Caller, Exchange
from gateway.core.notes import Cached, Routed, Used
from gateway.core.reply import Answered, Reply, Usage, Whole
from gateway.core.shelf import Shelf
from gateway.core.stage import Next
from gateway.core.wire import encode
from gateway.stages.semantic_cache.lookup import SemanticPolicy
from tests.fakes.cached import CachedHouse, said
from tests.fakes.near import FigureGates, ListIndex, WordEmbedder

TENANTS = {name: Caller(tenant=name) for name in ("acme", "bob", "carol")}


async def canary(exchange: Exchange, _proceed: Next) -> Reply:
    """Answer with the name of who asked, after a moment."""
    name = exchange.caller.tenant
    for _ in range(3):
        await asyncio.sleep(0)
    exchange.notes.add(Routed("fast", "acme", "named"))
    exchange.notes.add(Used("fast", Usage(1, 1), 1))
    message = {"role": "assistant", "content": f"canary of {name}"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = encode({"id": "c", "object": "chat.completion", "choices": [choice]})
    return Whole(body, "openai", Usage(1, 1), Answered(provider="acme", model="fast"))


@pytest.mark.parametrize(
    "requests", [3_000, pytest.param(100_000, marks=[pytest.mark.long, pytest.mark.timeout(1800)])]
)
async def test_b01_no_canary_of_another_tenant_is_ever_served(requests: int) -> None:
    house = near_house()
    house.use(canary, semantic=SemanticPolicy(), ttl=30)
    chance, results = Random(1), Counter[str]()

    async def one(number: int) -> None:
        name = chance.choice(list(TENANTS))
        headers = {"x-turnout-cache": "refresh"} if not number % 97 else None
        text = chance.choice(("What is {} called?", "{} is called what?")).format(number % 40)
        exchange = house.exchange(messages=said(text), caller=TENANTS[name], headers=headers)
        reply = await house.chain(exchange)
        assert isinstance(reply, Whole)
        assert b"canary of " + name.encode() in reply.body
        note = exchange.notes.last(Cached)
        assert note is not None
        results[note.result] += 1

    for start in range(0, requests, 50):
        tasks = [asyncio.create_task(one(number)) for number in range(start, start + 50)]
        await asyncio.sleep(0)
        for task in chance.sample(tasks, 3):
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert not [each for each in done if isinstance(each, Exception)]
        house.clock.now += 0.5
    assert results["hit-exact"] > requests / 3
    assert results["miss"] > 100
    assert len(house.cache.flights) == 0


def near_house(**more: Any) -> CachedHouse:
    return CachedHouse(embedder=WordEmbedder(), index=ListIndex(), gates=FigureGates(), **more)


class Counting:
    """Counts what is done with a cache's parts."""

    def __init__(self) -> None:
        self.done = Counter[str]()

    def around(self, part: object, *names: str) -> None:
        for name in names:
            setattr(part, name, self._counted(name, getattr(part, name)))

    def _counted(self, name: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*given: Any, **named: Any) -> Any:
            self.done[name] += 1
            return inner(*given, **named)

        return counted


async def test_b09_a_question_that_another_tenant_asked_takes_the_very_steps_of_a_new_one() -> None:
    """What is not there cannot be told from what is another's: no step differs, so no time does."""
    house = near_house(semantic=SemanticPolicy())
    for number in range(20):
        await house.whole(messages=said(f"What is {number} called?"), caller=TENANTS["acme"])
    counting, steps = Counting(), []
    counting.around(house.cache.shelf, "raw", "get", "by_id", "put")
    counting.around(house.state.answers, "get", "find", "put")
    counting.around(house.cache.embedder, "embed")
    counting.around(house.cache.index, "search", "add")
    counting.around(house.gates, "facts", "veto")
    for asked in ("What is 7 called?", "What is 700 called?"):
        counting.done = Counter()
        await house.whole(messages=said(asked), caller=TENANTS["bob"])
        steps.append((house.result, counting.done))
        await house.state.answers.remove(Selection(tenant="bob"))
    assert steps[0][1]["search"] == 1
    assert steps[0] == steps[1]


async def work(house: CachedHouse, text: str) -> tuple[int, ...]:
    """Return how many functions of ours and of libraries a probe of Bob's calls, and its answer."""
    calls = Counter[str]()

    def count(_frame: object, event: str, _given: object) -> None:
        calls[event] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        answer = await house.whole(messages=said(text), caller=TENANTS["bob"])
    finally:
        sys.setprofile(before)
    said_of = house.cached
    facts = len(said_of.result + said_of.reason + said_of.id), len(answer)
    return calls["call"], calls["c_call"], calls["return"], *facts


def discrimination(some: list[int], others: list[int]) -> float:
    """Return the area under the curve of whoever tells two lots apart by one figure."""
    pairs = [(one > other) + (one == other) / 2 for one in some for other in others]
    return sum(pairs) / len(pairs)


async def test_b09_of_400_probes_no_figure_tells_what_another_tenant_asked() -> None:
    """What is counted is work, not time: no machine's noise can hide or fake a difference."""
    house, chance = near_house(semantic=SemanticPolicy()), Random(9)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(chance.choices(letters, k=5)) for _ in range(450 * 6)]
    names = [" ".join(words[at : at + 6]) for at in range(0, len(words), 6)]
    asked, probes, warm = names[:200], names[:400], names[400:]
    for name in asked:
        await house.whole(messages=said(f"What is {name} called?"), caller=TENANTS["acme"])
    for name in warm:
        await work(house, f"What is {name} called?")
    chance.shuffle(probes)
    seen: dict[bool, list[tuple[int, ...]]] = {True: [], False: []}
    for name in probes:
        seen[name in asked].append(await work(house, f"What is {name} called?"))
        assert not house.cached.hit
        await house.state.answers.remove(Selection(tenant="bob"))
    assert len(seen[True]) == len(seen[False]) == 200
    for figure in range(len(seen[True][0])):
        lots = [[each[figure] for each in seen[hers]] for hers in (True, False)]
        assert 0.45 < discrimination(*lots) < 0.55


async def test_b09_the_same_figures_do_tell_whose_own_question_is_a_hit() -> None:
    house = near_house(semantic=SemanticPolicy())
    first = await work(house, "What is 1000 called?")
    again = await work(house, "What is 1000 called?")
    assert again[0] < first[0]
    assert again[1] < first[1]


async def test_b13_a_flood_of_one_tenant_costs_another_nothing() -> None:
    house = CachedHouse()
    small = Shelf(200_000)
    house.cache = replace(house.cache, shelf=small)
    house.tools = replace(house.tools, cache=house.cache)
    house.use(canary)
    for number in range(10):
        await house.whole(messages=said(f"Bob's {number}"), caller=TENANTS["bob"])
    for number in range(2_000):
        await house.whole(messages=said(f"Flood {number}"), caller=TENANTS["acme"])
    assert small.size <= 200_000
    assert small.evictions > 1_000
    for number in range(10):
        await house.whole(messages=said(f"Bob's {number}"), caller=TENANTS["bob"])
        assert house.result == ("hit-exact", "")


def test_what_a_cache_is_made_of_is_all_here() -> None:
    """A part that is added must be looked at by the tests above."""
    assert Cache.__struct_fields__ == (
        *("store", "key", "shelf", "index", "embedder", "audits"),
        *("flights", "renewed", "events", "known", "purges"),
    )
