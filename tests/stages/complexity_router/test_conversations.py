"""Conversations stay where their prompt is kept, and leave for a reason only."""

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.exchange import Caller
from gateway.core.ports import Call
from gateway.core.reply import Reply, Usage, Whole
from gateway.stages.complexity_router.conversations import (
    DOWN_AFTER,
    IDLE,
    MOST,
    Conversations,
    Held,
    bond,
    key_of,
    stays,
)
from tests.fakes.failover import Actor
from tests.fakes.routed import EASY, HARD, MODELS, RoutedHouse, policy

TIERS = [MODELS["mini"], MODELS["haiku"], MODELS["sonnet"]]
SESSION = {"x-session-id": "s-1"}
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
LOOP: list[dict[str, Any]] = [
    {"role": "user", "content": HARD},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
]
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "x"}


def test_a_conversation_is_warm_until_it_is_idle_for_five_minutes() -> None:
    known = Conversations()
    held = known.keep(b"k", 1, 0.0)
    assert known.keep(b"k", 1, IDLE) is held
    assert held.warm(2 * IDLE)
    assert not held.warm(2 * IDLE + 1)
    assert known.keep(b"k", 1, 2 * IDLE + 1) is not held, "what was known of it is past"


def test_of_too_many_the_one_that_was_silent_longest_is_forgotten() -> None:
    known = Conversations()
    for number in range(MOST):
        known.keep(b"%d" % number, 0, 1.0)
    known.keep(b"0", 0, 2.0)
    known.keep(b"new", 0, 3.0)
    assert len(known) == MOST
    assert known.find(b"0") is not None
    assert known.find(b"1") is None


def test_conversations_are_told_apart_by_caller_session_and_beginning() -> None:
    house = RoutedHouse()
    more = [{"role": "user", "content": EASY}, {"role": "assistant", "content": "Louis."}]
    again = [*more, {"role": "user", "content": "Which?"}]
    assert key_of(house.exchange()) == key_of(house.exchange(messages=again))
    session = key_of(house.exchange(headers=SESSION))
    assert session == key_of(house.exchange(HARD, headers=SESSION))
    other = Caller(tenant="other")
    others = {
        key_of(house.exchange()),
        key_of(house.exchange(HARD)),
        session,
        key_of(house.exchange(headers=SESSION, caller=other)),
        key_of(house.exchange(headers=SESSION, caller=Caller(fingerprint="00"))),
    }
    assert len(others) == 5


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        (LOOP, "a tool loop"),
        ([*LOOP[:2], {"role": "user", "content": [{"type": "tool_result"}]}], "a tool loop"),
        ([{"role": "assistant", "content": [THOUGHT]}, LOOP[0]], "thoughts of its model"),
        ([{"role": "assistant", "reasoning_details": [{}]}, LOOP[0]], "thoughts of its model"),
        ([*LOOP, {"role": "assistant", "content": "sunny"}, LOOP[0]], ""),
        ([{"role": "user", "content": [THOUGHT]}], ""),
    ],
)
def test_what_binds_a_request_to_a_model(messages: list[dict[str, Any]], why: str) -> None:
    assert bond(RoutedHouse().exchange(messages=messages).request) == why


def test_up_at_once_and_down_after_three_low_turns() -> None:
    held = Held(1, 0.0, usage=Usage(input=100, output=100))
    assert stays(held, 2, TIERS) == ""
    said = [stays(held, 0, TIERS) for _ in range(DOWN_AFTER)]
    assert said == ["1 of 3 low turns", "2 of 3 low turns", ""]
    stays(held, 1, TIERS)
    assert stays(held, 0, TIERS) == "1 of 3 low turns", "a turn that needs it begins anew"


def test_down_only_where_it_saves_more_than_the_kept_prompt_is_worth() -> None:
    kept = Usage(input=100_000, output=100, cached=99_000)
    low = Held(2, 0.0, low=DOWN_AFTER, usage=kept)
    # 1,000 at $3, 99,000 at $0.30 and 100 at $15: 3.4 cents; at haiku 10 cents for all anew.
    assert stays(low, 1, TIERS) == "its prompt cache"
    assert stays(low, 0, TIERS) == "", "at mini all of it anew costs 1.5 cents"
    unpriced = [replace(model, price=None) for model in TIERS]
    assert stays(low, 1, unpriced) == ""


async def test_a_conversation_stays_though_its_next_question_is_easy() -> None:
    house = RoutedHouse()
    await house.ask(HARD, headers=SESSION)
    told = [await house.tier(headers=SESSION) for _ in range(4)]
    assert told[0] == "complex by kept: kept: 1 of 3 low turns (fast would do)"
    assert told[1] == "complex by kept: kept: 2 of 3 low turns (fast would do)"
    assert [each.partition(":")[0] for each in told[2:]] == ["fast by start"] * 2
    assert (await house.tier(HARD, headers=SESSION)).startswith("complex by start")


async def test_a_tool_loop_never_changes_its_model() -> None:
    house = RoutedHouse(policy(rules=[{"name": "w", "contains": "weather", "tier": "fast"}]))
    await house.ask(HARD, headers=SESSION)
    loop = [*LOOP[:2], {**LOOP[2], "content": "the weather is fine"}]
    kept = await house.tier(messages=loop, headers=SESSION)
    assert kept == "complex by kept: kept for a tool loop"
    assert (await house.tier(messages=loop)).startswith("complex"), "nothing is known of this one"


async def test_after_five_minutes_it_is_chosen_anew() -> None:
    house = RoutedHouse()
    await house.ask(HARD, headers=SESSION)
    house.clock.now += IDLE + 1
    assert (await house.tier(headers=SESSION)).startswith("fast by start")


@pytest.mark.parametrize(
    "bound", [LOOP, [LOOP[0], {"role": "assistant", "content": [THOUGHT]}, LOOP[0]]]
)
async def test_what_is_bound_to_its_model_stays_there_however_long_it_took(
    bound: list[dict[str, Any]],
) -> None:
    house = RoutedHouse(policy(rules=[{"name": "w", "contains": "prove", "tier": "fast"}]))
    await house.ask(model="turnout/auto", content=HARD.replace("Prove", "Show"), headers=SESSION)
    house.clock.now += 10 * IDLE
    assert (await house.tier(messages=bound, headers=SESSION)).startswith("complex by kept")


class Keeping(Actor):
    """A provider that has nearly all of a long prompt in its cache."""

    async def send(self, call: Call, /) -> Reply:
        reply = await super().send(call)
        usage = Usage(input=100_000, output=100, cached=99_000)
        if isinstance(reply, Whole):
            return replace(reply, usage=usage)
        reply.tally.usage = usage
        return reply


@pytest.mark.parametrize("stream", [True, False])
async def test_what_the_provider_keeps_holds_a_conversation_there(*, stream: bool) -> None:
    rule = {"name": "b", "contains": "liability", "min_tier": "balanced"}
    house = RoutedHouse(policy(rules=[rule]))
    house.actors["c"] = Keeping("c", house.clock)
    await house.ask(HARD, headers=SESSION, stream=stream)
    told = [
        await house.tier(f"{EASY} And their liability?", headers=SESSION, stream=stream)
        for _ in range(4)
    ]
    assert told[3] == "complex by kept: kept: its prompt cache (balanced would do)"
