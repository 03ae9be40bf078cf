"""By which scores tiers are told apart."""

from collections.abc import Sequence
from functools import cache

import pytest

from gateway.core.reply import Usage
from gateway.stages.complexity_router.artefact import Artefact
from gateway.stages.complexity_router.calibration.targets import Target
from gateway.stages.complexity_router.features import asked_in
from gateway.stages.complexity_router.model import Learned, Rules
from gateway.stages.complexity_router.scoring import Scored, Scoring, scales
from gateway.stages.complexity_router.training import train
from tests.fakes.routed import MODELS, RoutedHouse
from tests.stages.complexity_router.rows import EASY, HARD, examples

SHARES = Target(shares=(0.5, 0.25, 0.25))
COST = Target(cost_per_1k=1.0)
THREE = ["mini", "haiku", "sonnet"]


@cache
def artefact(*pairs: str) -> Artefact:
    rows = [row for pair in pairs for row in examples(80, pair=pair)]
    return train(rows, lambda _: None)


NEIGHBOURS = ("mini|haiku", "haiku|sonnet")
WHOLE = "mini|sonnet"


def test_without_an_artefact_rules_tell_all_tiers_apart() -> None:
    (scale,) = scales(THREE, SHARES, None, "")
    assert (scale.first, scale.tiers, scale.target) == (0, 3, SHARES)
    assert isinstance(scale.scorer, Rules)
    assert scale.span == (0.0, 15.0)
    assert scale.score.startswith("rules/")


def test_with_neighbours_a_request_climbs_from_tier_to_tier() -> None:
    found = scales(THREE, SHARES, artefact(*NEIGHBOURS, WHOLE), "v1")
    assert [(each.first, each.tiers, each.score) for each in found] == [
        (0, 2, "mini|haiku/v1"),
        (1, 2, "haiku|sonnet/v1"),
    ]
    assert [each.target.shares for each in found] == [(0.5, 0.5), (0.5, 0.5)]
    assert all(isinstance(each.scorer, Learned) for each in found)
    assert all(-1.5 < low < high < 1.5 for low, high in (each.span for each in found))


def test_a_cost_is_aimed_at_with_one_score_of_all_tiers() -> None:
    (scale,) = scales(THREE, COST, artefact(*NEIGHBOURS, WHOLE), "v1")
    assert (scale.tiers, scale.score, scale.target) == (3, "mini|sonnet/v1", COST)


@pytest.mark.parametrize(
    ("models", "target", "pairs", "lacking"),
    [
        (THREE, SHARES, ("mini|haiku",), "haiku|sonnet"),
        (THREE, COST, NEIGHBOURS, "mini|sonnet"),
        (["mini", "sonnet"], Target(shares=(0.5, 0.5)), NEIGHBOURS, "mini|sonnet"),
    ],
)
def test_what_an_artefact_was_not_trained_for_is_named(
    models: Sequence[str], target: Target, pairs: tuple[str, ...], lacking: str
) -> None:
    with pytest.raises(ValueError, match=f"it was not trained for {lacking}.".replace("|", r"\|")):
        scales(models, target, artefact(*pairs), "v1")


async def placed(house: RoutedHouse, target: Target) -> tuple[Scoring, list[Scored]]:
    """What became of 300 prompts of two kinds after as many others."""
    models = [MODELS[name] for name in THREE]
    planned = scales(THREE, target, artefact(*NEIGHBOURS, WHOLE), "v1")
    scoring = Scoring("default/test", planned, models, house.tools)
    found = []
    for number in range(1_200):
        prompt = (HARD if number % 2 else EASY).format(100 + number % 89, 200 + number % 97, "")
        found.append(scoring.place(asked_in(prompt), 1))
        scoring.spent(found[-1].tier, Usage(input=100, output=100))
        if number < 900 and number % 50 == 49:
            await house.look()
    return scoring, found[-300:]


async def test_shares_hold_over_the_steps_of_a_climb() -> None:
    _, found = await placed(RoutedHouse(), SHARES)
    got = [sum(each.tier == tier for each in found) / 300 for tier in range(3)]
    assert got == pytest.approx([0.5, 0.25, 0.25], abs=0.08)
    assert {each.step for each in found} == {"score"}


async def test_a_cost_is_kept_by_what_tiers_were_seen_to_use() -> None:
    _, found = await placed(RoutedHouse(), COST)
    prices = {0: 75, 1: 600, 2: 1_800}  # micro-dollars of 100 tokens in and out
    assert sum(prices[each.tier] for each in found) / 300 * 1_000 / 1e6 < 1.1
    assert {each.tier for each in found} >= {0, 1}
    assert {each.step for each in found} == {"score"}


def test_before_200_prompts_the_rules_decide_and_say_so() -> None:
    models = [MODELS[name] for name in THREE]
    planned = scales(THREE, SHARES, artefact(*NEIGHBOURS), "v1")
    scoring = Scoring("default/test", planned, models, RoutedHouse().tools)
    easy, hard = (scoring.place(asked_in(text), 1) for text in (EASY, HARD * 3))
    assert easy == Scored(0, "start", "rules: 0 of 200 prompts seen")
    assert (hard.tier, hard.step) == (2, "start")


async def test_a_step_that_is_not_calibrated_yet_undoes_none_below_it() -> None:
    models, house = [MODELS[name] for name in THREE], RoutedHouse()
    planned = scales(THREE, Target(shares=(0.1, 0.5, 0.4)), artefact(*NEIGHBOURS), "v1")
    scoring = Scoring("default/test", planned, models, house.tools)
    for number in range(250):
        scoring.place(asked_in(EASY.format(100 + number % 89, 200 + number % 97, "")), 1)
        if number % 50 == 49:
            await house.look()
    found = [
        scoring.place(asked_in(EASY.format(100 + number % 89, 200 + number % 97, "")), 1)
        for number in range(100)
    ]
    assert {each.tier for each in found if each.step == "start"} == {1}, "the rules say 0"
    assert {each.tier for each in found if each.step == "score"} == {0}
