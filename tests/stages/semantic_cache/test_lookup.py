"""Semantic hits: only behind the gates, only where they are safe, and never at anybody's cost."""

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.answers import Answer, Selection
from gateway.core.errors import StateUnavailable
from gateway.core.exchange import Caller
from gateway.stages.semantic_cache.lookup import SemanticPolicy
from gateway.state.answers_memory import MemoryAnswers
from tests.fakes.cached import ASK, CachedHouse, said
from tests.fakes.clock import settle
from tests.fakes.limited import BOB
from tests.fakes.near import FigureGates, ListIndex, WordEmbedder

FIRST = "What is the capital of France?"


class NearHouse(CachedHouse):
    """A cache that also finds what is near."""

    def __init__(self, **policy: Any) -> None:
        self.embedder, self.index, self.figures = WordEmbedder(), ListIndex(), FigureGates()
        super().__init__(
            embedder=self.embedder,
            index=self.index,
            gates=self.figures,
            semantic=policy.pop("semantic", SemanticPolicy()),
            **policy,
        )


async def near(house: NearHouse, text: str = "France is the capital of what?", **more: Any) -> str:
    """Ask something, then something alike, and say what came of that."""
    await house.whole({**ASK, **more}, messages=said(FIRST))
    await settle()
    await house.whole({**ASK, **more}, messages=said(text))
    return f"{house.cached.result} {house.cached.reason}".strip()


def house_with(**semantic: Any) -> NearHouse:
    return NearHouse(semantic=SemanticPolicy(**semantic))


async def test_a_similar_question_gets_the_stored_answer() -> None:
    house = NearHouse()
    assert await near(house) == "hit-semantic"
    assert house.calls == 1
    assert house.cached.id
    assert house.embedder.texts == [FIRST, "France is the capital of what?"]


async def test_a_question_is_looked_at_once_however_often_it_is_a_neighbour() -> None:
    house = NearHouse()
    for _ in range(3):
        assert await near(house) == "hit-semantic"
    assert house.figures.parsed.count(FIRST) == 1


async def test_what_is_not_near_enough_is_a_miss() -> None:
    assert await near(NearHouse(), "What is the largest lake of France?") == "miss"


async def test_a_veto_is_counted_and_named() -> None:
    house = NearHouse()
    await house.whole(messages=said("Who won the cup in 1998?"))
    await house.whole(messages=said("Who won the cup in 2002?"))
    assert house.result == ("miss", "number")
    assert house.cache.events["veto", "number"] == 1
    assert house.calls == 2


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"functions": [{"name": "f"}]}, "tools"),
        ({"temperature": 0.31}, "temperature"),
        ({"temperature": "warm"}, "temperature"),
        ({"n": 2}, "n"),
    ],
)
async def test_where_it_is_not_safe_only_the_same_request_will_do(
    more: dict[str, Any], reason: str
) -> None:
    house = NearHouse()
    assert await near(house, **more) == f"miss {reason}"
    assert house.embedder.texts == []


@pytest.mark.parametrize("more", [{"temperature": 0.3}, {"temperature": 0}, {"n": 1}])
async def test_where_it_is_safe_it_will(more: dict[str, Any]) -> None:
    assert await near(NearHouse(), **more) == "hit-semantic"


async def test_a_conversation_is_never_answered_by_a_similar_one() -> None:
    house = NearHouse()
    before = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    for text in (FIRST, "France is the capital of what?"):
        await house.whole(messages=[*before, *said(text)])
        assert house.result == ("miss", "multi_turn")


async def test_a_question_about_a_picture_is_not() -> None:
    house = NearHouse()
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    for text in ("What is the capital here?", "What is here the capital?"):
        content = [picture, {"type": "text", "text": text}]
        await house.whole(messages=[{"role": "user", "content": content}])
        assert house.result == ("miss", "not_text")


async def test_a_question_of_today_is_not_compared() -> None:
    house = NearHouse()
    assert await near(house, "What is the capital of France today?") == "miss time_dependent"


async def test_a_text_that_was_cut_off_is_not_compared_and_not_to_be_found() -> None:
    house = NearHouse()
    house.embedder.truncated = True
    assert await near(house) == "miss truncated"
    assert house.index.held == {}


async def test_the_threshold_is_the_policys() -> None:
    text = "What is the big capital of France?"
    assert await near(house_with(threshold=0.99), text) == "miss"
    assert await near(house_with(threshold=0.8), text) == "hit-semantic"


async def test_b02_another_tenants_index_is_never_read() -> None:
    house = NearHouse()
    await house.whole()
    mine = set(house.index.searched)
    await house.whole(messages=said("France is the capital of what?"), caller=BOB)
    assert house.result == ("miss", "")
    assert mine.isdisjoint(house.index.searched[1:])
    await house.whole(caller=Caller(tenant="carol"))
    assert house.result == ("miss", "")


async def test_what_is_gone_or_stale_is_no_neighbour() -> None:
    house = NearHouse(ttl=60, stale_if_error=600)
    await house.whole()
    house.clock.now += 61
    await house.whole(messages=said("France is the capital of what?"))
    assert house.result == ("miss", "")


async def test_what_left_the_shelf_is_found_in_the_store() -> None:
    house = NearHouse()
    await house.whole()
    house.cache.shelf.clear()
    await house.whole(messages=said("France is the capital of what?"))
    assert house.result == ("hit-semantic", "")
    house.cache.shelf.clear()
    await house.whole()
    assert house.result == ("hit-exact", "")


async def test_a_neighbour_that_is_nowhere_any_more_is_a_miss() -> None:
    house = NearHouse()
    await house.whole()
    (name,) = house.index.held
    held = dict(house.index.held)
    house.cache.forget((name,))
    house.index.held = held
    await house.state.answers.remove(Selection())
    house.index.held = held
    await house.whole(messages=said("France is the capital of what?"))
    assert house.cached.result == "miss"


async def test_b14_a_slow_embedder_costs_fifty_milliseconds_and_no_answer() -> None:
    house = NearHouse()
    house.embedder.clock = house.clock
    (asking,) = house.asking(1)
    await house.clock.advance(0.049)
    assert house.calls == 0
    await house.clock.advance(0.002)
    assert house.calls == 1
    await asking
    assert house.result == ("miss", "timeout")
    assert house.cache.events["failed", "timeout"] == 1
    await house.clock.advance(5)
    assert len(house.index.held) == 1


async def test_b14_what_is_broken_is_a_counted_miss() -> None:
    house = NearHouse()
    house.embedder.broken = True
    await house.whole()
    assert house.result == ("miss", "embedder")
    house.embedder.broken = False
    house.index.broken = True
    await house.whole(messages=said("Another one"))
    assert house.result == ("miss", "index")
    assert house.calls == 2
    assert house.cache.events["failed", "embedder"] >= 1
    assert house.cache.events["failed", "index"] == 1


async def test_a_store_that_is_away_is_a_counted_miss() -> None:
    class Away(MemoryAnswers):
        async def get(self, key: str, /) -> Answer | None:
            raise StateUnavailable("It is away.")

    house = NearHouse()
    house.cache = replace(house.cache, store=Away(house.clock.wall, 1 << 20))
    house.tools = replace(house.tools, cache=house.cache)
    house.use()
    await house.whole()
    assert house.result == ("miss", "store")


async def test_without_leave_nothing_is_embedded() -> None:
    house = NearHouse(semantic=None)
    assert await near(house) == "miss"
    assert house.embedder.texts == []


async def test_a_refresh_is_embedded_behind_the_answer() -> None:
    house = NearHouse()
    await house.whole(headers={"x-turnout-cache": "refresh"})
    await settle()
    assert house.embedder.texts == [FIRST]
    await house.whole(messages=said("France is the capital of what?"))
    assert house.cached.result == "hit-semantic"
