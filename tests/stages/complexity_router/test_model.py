"""Scores, and what they are made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.stages.complexity_router.features import NAMES, asked_in, shape
from gateway.stages.complexity_router.model import Learned, Rules, Scorer
from gateway.stages.complexity_router.training import fit, train
from tests.stages.complexity_router.rows import EASY, HARD, examples

LEARNED = Learned(fit(examples(520)))
SCORERS: list[Scorer] = [Rules(), Learned(fit(examples(100))), LEARNED]


@pytest.mark.parametrize("scorer", SCORERS)
@given(text=st.text(max_size=2500))
def test_the_points_of_the_parts_add_up_to_the_score(scorer: Scorer, text: str) -> None:
    looks = shape(asked_in(text))
    total = sum(part.points for part in scorer.parts(looks))
    assert total == pytest.approx(scorer.score(looks), abs=1e-9)


def test_the_weightiest_part_comes_first_and_every_feature_is_one() -> None:
    parts = LEARNED.parts(shape(asked_in(HARD)))
    assert {part.name for part in parts} == {*NAMES, "wording", "rules", "mean gain"}
    points = [abs(part.points) for part in parts]
    assert points == sorted(points, reverse=True)


def test_what_speaks_for_the_stronger_model_is_told() -> None:
    points = {part.name: part.points for part in LEARNED.parts(shape(asked_in(HARD)))}
    assert points["maths words"] > 0 < points["code words"]
    easy = {part.name: part.points for part in LEARNED.parts(shape(asked_in(EASY)))}
    assert easy["maths words"] < 0 > easy["code words"]


def test_a_score_says_what_such_scores_have_come_to() -> None:
    model = train(examples(400), lambda _: None).pairs["small|large"]
    scorer = Learned(model)
    hard, easy = (scorer.gain(scorer.score(shape(asked_in(each)))) for each in (HARD, EASY))
    assert hard == pytest.approx(0.7, abs=0.15)
    assert easy == pytest.approx(0.0, abs=0.15)


def test_what_was_learned_from_few_rows_leaves_the_say_to_the_rules() -> None:
    few, many = fit(examples(50)), fit(examples(800))
    assert (few.learned_share, many.learned_share) == (0.2, 0.8)
