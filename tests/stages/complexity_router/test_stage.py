"""The router's decisions, in their order; and that nothing in it can fail a request."""

import threading
from typing import Any

import pytest

from gateway.core.catalogue import Target
from gateway.core.chat import ChatRequest
from gateway.core.errors import CapabilityMissing, Forbidden, GatewayError
from gateway.core.exchange import Caller, Route
from gateway.core.notes import Routed
from gateway.core.outcome import gather
from gateway.stages.complexity_router import stage
from gateway.stages.complexity_router.features import Asked, asked_by
from gateway.stages.complexity_router.scoring import Scoring
from tests.fakes.routed import EASY, HARD, MODELS, PICTURE, RoutedHouse, policy

START = "rules: 0 of 200 prompts seen"
LEGAL = {"name": "legal", "contains": "legal opinion", "tier": "complex"}
AGENTS = {"name": "agents", "when": {"tools": True}, "min_tier": "balanced"}
CHEAP = {"name": "batch", "when": {"header": {"x-batch": "*"}}, "tier": "fast"}
TOOL = [{"type": "function", "function": {"name": "look", "parameters": {}}}]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}
LONG = "word " * 4_000


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"model": "turnout/complex"}, "complex by pin: asked for"),
        ({"model": "turnout/fast", "content": PICTURE}, "fast by pin: asked for"),
        ({}, f"fast by start: {START}"),
        ({"content": HARD}, f"complex by start: {START}"),
        ({"content": PICTURE}, f"balanced by fit: {START}; fast lacks vision"),
        ({"content": LONG, "max_tokens": 10}, "complex by start: " + START),
        ({"max_tokens": 900}, f"balanced by fit: {START}; fast lacks max_output"),
        ({"response_format": SCHEMA}, f"fast by start: {START}"),
        ({"content": HARD, "max_cost": 2_000}, f"fast by fit: {START}; complex lacks cost"),
        ({"content": "A legal opinion?"}, "complex by rule: rule legal"),
        ({"tools": TOOL}, "balanced by rule: rule agents: no lower tier"),
        ({"content": HARD, "tools": TOOL}, f"complex by start: {START}"),
        ({"content": "Legal opinion", "headers": {"x-batch": "1"}}, "complex by rule: rule legal"),
        ({"content": HARD, "headers": {"x-batch": "1"}}, "fast by rule: rule batch"),
        (
            {"content": PICTURE, "headers": {"x-batch": "1"}},
            "balanced by fit: rule batch; fast lacks vision",
        ),
        (
            {"content": "Кто был королём Франции в 1700 году?"},
            "balanced by fallback: another script than the features know",
        ),
        ({"content": HARD, "endpoint": "count_tokens"}, "fast by kept: counted"),
        ({"model": "mini"}, "no tier"),
    ],
)
async def test_each_step_decides_before_the_next_one(asked: dict[str, Any], told: str) -> None:
    house = RoutedHouse(policy(rules=[LEGAL, CHEAP, AGENTS]))
    content = asked.pop("content", EASY)
    try:
        await house.ask(content, **asked)
    except CapabilityMissing:
        assert told.endswith("asked for"), "only who asked for a tier hears that it cannot"
    assert house.told == told


async def test_the_models_of_tiers_are_asked_and_the_outcome_says_why() -> None:
    house = RoutedHouse()
    await house.ask(EASY)
    reply = await house.ask(HARD)
    assert house.asked == [1, 0, 1]
    assert reply.answered.model == "sonnet"
    facts = gather(house.notes)
    assert facts.tiered is not None
    assert (facts.tiered.tier, facts.route, facts.model) == ("complex", START, "sonnet")
    assert house.notes.all(Routed) == [], "the answer may be stored under the name asked for"


async def test_behind_it_failover_begins_with_the_tier() -> None:
    targets = [{}, {"model": "haiku"}]
    house = RoutedHouse(None, {"stage": "failover", "targets": targets})
    await house.ask()
    assert gather(house.notes).route == f"{START}; ordered"
    assert house.asked == [1, 0, 0]


async def test_a_tier_that_is_ill_is_passed_over_and_the_answer_is_a_stand_in() -> None:
    house = RoutedHouse()
    condition = house.tools.health.condition("a", "mini")
    condition.pause(house.clock.now, 30.0, house.clock.now)
    assert await house.tier() == f"balanced by fit: {START}; fast is left alone"
    assert [note.fallback for note in house.notes.all(Routed)] == [True]
    house.clock.now += 60
    assert await house.tier("Who was the king of Spain?") == f"fast by start: {START}"


async def test_where_no_tier_is_well_the_one_that_is_wanted_is_tried() -> None:
    house = RoutedHouse()
    for provider, model in (("a", "mini"), ("b", "haiku"), ("c", "sonnet")):
        condition = house.tools.health.condition(provider, model)
        condition.pause(house.clock.now, 30.0, house.clock.now)
    assert (await house.tier()).startswith("fast by start")


async def test_where_no_tier_can_the_highest_says_what_it_lacks() -> None:
    house = RoutedHouse(
        policy(tiers=[{"name": "fast", "model": "mini"}, {"name": "b", "model": "vectors"}])
    )
    with pytest.raises(GatewayError):
        await house.ask(PICTURE)
    assert house.told == "b by fit: no tier fits: vision, endpoint"


async def test_a_tier_whose_provider_has_no_key_is_passed_over() -> None:
    house = RoutedHouse(providers="bc")
    assert await house.tier() == f"balanced by fit: {START}; fast lacks provider"


async def test_a_tenants_list_bounds_what_it_is_sent_to() -> None:
    house = RoutedHouse()
    names = frozenset({"turnout/auto", "mini", "haiku"})
    bound = Caller(models=names)
    assert await house.tier(HARD, caller=bound) == f"balanced by fit: {START}; complex lacks tenant"
    alias = Caller(models=names, aliases=frozenset({"turnout/auto"}))
    assert (await house.tier(HARD, caller=alias)).startswith("complex by start")


@pytest.mark.parametrize("model", ["turnout/auto", "turnout/complex"])
async def test_who_may_go_to_no_tier_is_refused(model: str) -> None:
    house = RoutedHouse()
    with pytest.raises(Forbidden) as caught:
        await house.ask(model=model, caller=Caller(models=frozenset({model})))
    assert (caught.value.code, caught.value.param) == ("model_not_allowed", "model")
    assert house.asked == [0, 0, 0]


async def test_a_model_is_changed_only_where_the_policy_says_so() -> None:
    house = RoutedHouse(policy(reroute=True))
    assert await house.tier(model="sonnet") == f"fast by start: {START}"
    with pytest.raises(GatewayError) as caught:
        await house.ask(model="nothing")
    assert (house.told, caught.value.code) == ("no tier", "model_not_found")
    await house.ask(model="vectors", endpoint="embeddings", input="x")
    assert house.told == "no tier"


async def test_an_alias_of_the_operators_leads_where_it_says() -> None:
    house = RoutedHouse(policy(aliases={"smart": "balanced"}))
    assert await house.tier(model="smart") == "balanced by pin: asked for"


async def test_scoring_that_fails_costs_nobody_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise ValueError("no number")

    monkeypatch.setattr(Scoring, "place", fails)
    house = RoutedHouse(policy(fallback="complex"))
    assert await house.tier() == "complex by fallback: scoring failed"
    assert house.verdicts == ["scoring failed: ValueError"]


async def test_a_request_that_cannot_be_read_goes_to_the_fallback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(_: object) -> None:
        raise KeyError("text")

    monkeypatch.setattr(stage, "asked_by", fails)
    house = RoutedHouse()
    assert await house.tier() == "balanced by fallback: scoring failed"
    assert house.verdicts == ["scoring failed: KeyError"]


@pytest.mark.parametrize("messages", [[1], [], {"role": "user"}, [{}]])
async def test_a_completion_is_routed_by_its_prompt_whatever_else_it_holds(messages: Any) -> None:
    tiers = [{"name": "fast", "model": "old"}, {"name": "complex", "model": "older"}]
    house = RoutedHouse(policy(tiers=tiers, target={"shares": [0.5, 0.5]}))
    asked: dict[str, Any] = {"endpoint": "completions", "messages": messages}
    assert await house.tier(prompt=EASY, **asked) == f"fast by start: {START}"
    assert await house.tier(prompt=HARD, **asked) == f"complex by start: {START}"


async def test_what_answers_used_counts_towards_a_cost() -> None:
    house = RoutedHouse(policy(target={"cost_per_1k": 0.3}))
    for number in range(240):
        await house.ask(f"{EASY} {number}", stream=bool(number % 2))
        if number % 40 == 39:
            await house.look()
    assert (await house.tier(f"{EASY} Why?")).endswith("by score: calibrated")


async def test_a_large_request_is_read_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    readers: list[bool] = []

    def read(request: ChatRequest) -> Asked:
        readers.append(threading.current_thread() is threading.main_thread())
        return asked_by(request)

    monkeypatch.setattr(stage, "asked_by", read)
    house = RoutedHouse()
    await house.ask(HARD)
    assert await house.tier("word " * (stage.LARGE // 4)) == f"complex by start: {START}"
    assert readers == [True, False]


async def test_after_200_prompts_shares_are_as_wanted() -> None:
    house = RoutedHouse()
    words = [
        "small",
        "green",
        "birds",
        "nobody",
        "saw",
        "near",
        "this",
        "old",
        "house",
        "of",
        "mine",
    ]
    for number in range(240):
        await house.ask(" ".join([EASY, *words[: number % 12], str(number)]))
        if number % 40 == 39:
            await house.look()
    before = house.asked
    for number in range(300):
        await house.ask(" ".join([EASY, *words[: number % 12], str(number + 1_000)]))
        assert house.told.endswith("by score: calibrated")
    got = [now - then for now, then in zip(house.asked, before, strict=True)]
    assert [share / 300 for share in got] == pytest.approx([0.6, 0.3, 0.1], abs=0.06)


async def test_a_share_that_is_off_for_long_is_told() -> None:
    house = RoutedHouse()
    for number in range(240):
        await house.ask(f"{EASY} {number}")
        if number % 40 == 39:
            await house.look()
    told: list[str] = []
    for number in range(800):
        await house.ask(f"{HARD} {number}")
        told += house.verdicts
    assert told == ["drift: sonnet gets 100% of requests, not 10%"]


async def test_what_has_a_way_already_passes_by() -> None:
    house = RoutedHouse()
    route = Route((Target(MODELS["haiku"]),), "another stage")
    await house.chain(house.exchange().with_route(route))
    assert (house.told, house.asked) == ("no tier", [0, 1, 0])
