"""The exact tiers, as a request meets them."""

import json
from typing import Any

import pytest

from gateway.core.answers import Selection
from gateway.core.charge import charge_of
from gateway.core.errors import BadRequest, NotCached
from gateway.core.notes import Attempted, Verdict
from gateway.core.outcome import gather
from gateway.core.reply import Usage, Whole
from tests.fakes.cached import ANSWER, ASK, CachedHouse, said

ALL = Selection()


async def test_the_same_request_is_answered_from_memory_under_a_name_of_its_own() -> None:
    house = CachedHouse()
    first = await house.whole()
    assert house.result == ("miss", "")
    second = await house.whole()
    assert house.result == ("hit-exact", "")
    assert house.calls == 1
    assert second["id"] != first["id"]
    assert second["id"].startswith("chatcmpl-")
    assert second["created"] == int(house.clock.wall())
    own = ("id", "created")
    assert {k: v for k, v in second.items() if k not in own} == {
        k: v for k, v in ANSWER.items() if k not in own
    }


async def test_a_hit_costs_nothing_and_leaves_no_attempt() -> None:
    house = CachedHouse()
    await house.whole()
    assert charge_of(gather(house.notes)).amounts.micro_dollars == 170
    reply = await house.ask()
    assert isinstance(reply, Whole)
    facts = gather(house.notes)
    assert reply.usage == Usage(100, 7)
    assert (reply.answered.provider, reply.answered.model) == ("acme", "fast")
    assert house.notes.all(Attempted) == []
    assert charge_of(facts).counted == "nothing"
    assert charge_of(facts).amounts.micro_dollars == 0
    assert house.cached.saved == 170
    assert house.notes.all(Verdict) == [Verdict("semantic_cache", "hit-exact")]


@pytest.mark.parametrize(
    "other",
    [
        "what is the capital of france",
        "  What is the   capital of France ?! ",
        "What is\nthe capital of France",
    ],
)
async def test_another_way_of_writing_the_same_is_the_same(other: str) -> None:
    house = CachedHouse()
    await house.whole()
    await house.whole(messages=said(other))
    assert house.result == ("hit-exact", "")
    assert house.calls == 1


@pytest.mark.parametrize(
    "other",
    [
        "What is the capital of Spain?",
        "What is the capital of `France`?",
        'What is the capital of "france"?',
    ],
)
async def test_what_differs_in_words_code_or_quotations_is_something_else(other: str) -> None:
    house = CachedHouse()
    await house.whole()
    await house.whole(messages=said(other))
    assert house.result == ("miss", "")
    assert house.calls == 2


async def test_an_answer_is_fresh_for_its_time_and_then_gone() -> None:
    house = CachedHouse(ttl=60)
    await house.whole()
    house.clock.now += 59
    await house.whole()
    assert house.result == ("hit-exact", "")
    assert house.cached.age == pytest.approx(59)
    house.clock.now += 1
    await house.whole()
    assert house.result == ("miss", "")


@pytest.mark.parametrize(
    ("headers", "result", "calls", "stored"),
    [
        ({"cache-control": "no-store"}, ("bypass", "no-store"), 2, False),
        ({"x-turnout-cache": "bypass"}, ("bypass", "asked"), 2, False),
        ({"cache-control": "no-cache"}, ("bypass", "no-cache"), 2, True),
        ({"x-turnout-cache": "refresh"}, ("bypass", "refresh"), 2, True),
        ({"cache-control": "max-age=5"}, ("miss", ""), 2, True),
        ({"cache-control": "max-age=50"}, ("hit-exact", ""), 1, False),
        ({"cache-control": "max-stale"}, ("hit-exact", ""), 1, False),
        ({"x-turnout-cache": "only"}, ("hit-exact", ""), 1, False),
    ],
)
async def test_a_request_may_ask_for_something_else(
    headers: dict[str, str], result: tuple[str, str], calls: int, stored: bool
) -> None:
    house = CachedHouse()
    await house.whole()
    (before,) = await house.state.answers.find(ALL, most=9)
    house.clock.now += 10
    await house.whole(headers=headers)
    assert house.result == result
    assert house.calls == calls
    (after,) = await house.state.answers.find(ALL, most=9)
    assert (after.id != before.id) == stored


async def test_only_what_is_stored_or_an_error_that_nobody_need_repeat() -> None:
    house = CachedHouse()
    with pytest.raises(NotCached) as caught:
        await house.ask(headers={"x-turnout-cache": "only"})
    assert (caught.value.status, caught.value.code) == (504, "not_cached")
    assert house.calls == 0


async def test_an_order_that_nobody_understands_is_refused() -> None:
    house = CachedHouse()
    with pytest.raises(BadRequest, match="bypass, only or refresh"):
        await house.ask(headers={"x-turnout-cache": "only, bypass"})


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"endpoint": "embeddings", "input": "hi"}, "endpoint"),
        ({"web_search_options": {}}, "live_data"),
        ({"messages": said("x" * 300_000)}, "large"),
    ],
)
async def test_what_is_not_for_a_cache_passes_by(more: dict[str, Any], reason: str) -> None:
    house = CachedHouse()
    for _ in range(2):
        await house.whole(**more)
        assert house.result == ("bypass", reason)
    assert house.calls == 2


async def test_a_context_that_differs_now_is_a_miss() -> None:
    house = CachedHouse()
    one, two = ({"context": (("chunk", each),)} for each in ("hash-1", "hash-2"))
    await house.whole(exchange=one)
    await house.whole(exchange=one)
    assert house.result == ("hit-exact", "")
    await house.whole(exchange=two)
    assert house.result == ("miss", "")


async def test_an_alias_and_its_model_do_not_share() -> None:
    house = CachedHouse()
    await house.whole()
    await house.whole(model="default")
    assert house.result == ("miss", "")


async def test_messages_get_a_name_of_theirs_too() -> None:
    house = CachedHouse()
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "Paris."}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 9, "output_tokens": 3},
    }
    house.provider.body = json.dumps(body).encode()
    asked = {**ASK, "max_tokens": 9}
    await house.whole(asked, endpoint="messages")
    again = await house.whole(asked, endpoint="messages")
    assert house.result == ("hit-exact", "")
    assert again.pop("id").startswith("msg_0")
    assert again == {k: v for k, v in body.items() if k != "id"}


async def test_the_dialects_do_not_meet() -> None:
    house = CachedHouse()
    await house.whole()
    await house.ask(endpoint="messages", max_tokens=9)
    assert house.result == ("miss", "")
