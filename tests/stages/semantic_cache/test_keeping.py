"""What is kept with an answer, and for how long."""

import pytest

from gateway.core.answers import Answer, Selection
from gateway.core.exchange import Exchange
from gateway.core.notes import Routed
from gateway.core.reply import Reply, Usage
from gateway.stages.relay import RelayPolicy
from gateway.stages.semantic_cache.lookup import SemanticPolicy
from tests.fakes.cached import ASK, CachedHouse
from tests.fakes.clock import settle
from tests.fakes.near import FigureGates, ListIndex, WordEmbedder
from tests.fakes.relay import nowhere

ANY = SemanticPolicy()


async def entries(house: CachedHouse) -> list[Answer]:
    return list(await house.state.answers.find(Selection(), most=99))


async def test_an_entry_says_whose_it_is_and_where_it_came_from() -> None:
    house = CachedHouse(tags=("faq", "v2"))
    await house.whole(model="default", exchange={"corpora": ("handbook",), "policy": "support"})
    (entry,) = await entries(house)
    assert (entry.tenant, entry.policy, entry.group) == (
        "alice",
        "support",
        "alice/support/default",
    )
    assert (entry.asked, entry.model, entry.provider) == ("default", "fast", "acme")
    assert (entry.tags, entry.corpora) == (("faq", "v2"), ("handbook",))
    assert (entry.usage, entry.micro_dollars) == (Usage(100, 7), 170)
    assert (entry.question, entry.vector, entry.embedder) == ("", b"", "")
    assert b'"id"' not in entry.body
    assert entry.id.startswith("ans-")


async def test_chance_takes_some_of_its_time_so_that_not_all_end_at_once() -> None:
    house = CachedHouse(ttl=100, jitter=0.5, stale_if_error=7, stale_while_revalidate=9)
    for number in range(50):
        await house.whole(seed=number)
    lasts = [entry.fresh_until - entry.stored for entry in await entries(house)]
    assert 50 <= min(lasts) < 60
    assert 90 < max(lasts) <= 100
    assert {round(each.gone_at - each.fresh_until, 6) for each in await entries(house)} == {9}


async def test_what_was_asked_before_a_purge_is_not_kept_after_it() -> None:
    house = CachedHouse()
    house.provider.gate.clear()
    (asking,) = house.asking(1)
    await settle()
    house.cache.purges.append((house.state.limiter.now(), Selection(tenant="alice")))
    house.provider.gate.set()
    await asking
    assert await entries(house) == []
    assert house.cache.events["refused", "purged"] == 1


async def test_an_answer_of_a_fallback_is_not_kept() -> None:
    house = CachedHouse()

    async def elsewhere(exchange: Exchange, _: object) -> Reply:
        exchange.notes.add(Routed("slow", "acme", "failover: acme is full", fallback=True))
        return await relay(exchange, nowhere)

    relay = RelayPolicy().build(house.tools)
    house.use(elsewhere)
    await house.whole()
    assert await entries(house) == []
    assert house.cache.events["refused", "fallback"] == 1


async def test_behind_a_refresh_only_so_many_questions_wait_to_be_embedded() -> None:
    embedder = WordEmbedder()
    house = CachedHouse(embedder=embedder, index=ListIndex(), gates=FigureGates(), semantic=ANY)
    embedder.clock = house.clock
    for number in range(70):
        await house.whole({**ASK, "seed": number}, headers={"x-turnout-cache": "refresh"})
    await settle()
    assert len(embedder.texts) == 64
    assert len(await entries(house)) == 6
    await house.clock.advance(200)
    assert len(await entries(house)) == 70


@pytest.mark.parametrize("broken", [True, False])
async def test_a_question_that_cannot_be_embedded_is_kept_all_the_same(broken: bool) -> None:
    embedder = WordEmbedder()
    embedder.broken, embedder.truncated = broken, not broken
    house = CachedHouse(embedder=embedder, index=ListIndex(), gates=FigureGates(), semantic=ANY)
    await house.whole(headers={"x-turnout-cache": "refresh"})
    await settle()
    (entry,) = await entries(house)
    assert entry.vector == b""
