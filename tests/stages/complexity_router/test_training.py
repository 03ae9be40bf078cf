"""Learning from outcomes: the same bytes each time, and better than not to have learned."""

import pytest

from gateway.stages.complexity_router.artefact import encode_artefact
from gateway.stages.complexity_router.features import asked_in, shape
from gateway.stages.complexity_router.labelled import UNNAMED, Row, example
from gateway.stages.complexity_router.metrics import Scored, routing
from gateway.stages.complexity_router.model import Learned
from gateway.stages.complexity_router.training import (
    WORDING_FROM,
    crosswise,
    fit,
    train,
    trained_on_these,
)
from tests.stages.complexity_router.rows import EASY, HARD, examples


def quiet(_: str) -> None:
    """Hear of the progress."""


def test_the_same_rows_give_the_same_bytes() -> None:
    first, again = (encode_artefact(train(examples(520), quiet)) for _ in range(2))
    assert first == again
    assert first != encode_artefact(train(examples(520, seed=2), quiet))


def test_what_was_learned_ranks_prompts_that_nobody_had_seen() -> None:
    scorer = Learned(fit(examples(200)))
    scored = [Scored(scorer.score(e.shape), e.weak, e.strong) for e in examples(1000, seed=9)]
    found = routing(scored)
    assert found is not None
    assert found.apgr > 0.7
    hard, easy = (scorer.score(shape(asked_in(kind.format(1, 2, "")))) for kind in (HARD, EASY))
    assert hard - easy > 0.3


def test_scores_come_from_models_that_had_not_seen_the_row() -> None:
    rows = examples(60)
    order = list(range(60))
    moved = [*rows[:-1], examples(2, seed=3)[1]]
    before, after = crosswise(rows, order), crosswise(moved, order)
    assert before[48:59] == after[48:59]  # the fold of the row that changed
    assert before[:48] != after[:48]


def test_knots_thresholds_and_figures_come_with_the_model() -> None:
    model = train(examples(300), quiet).pairs["small|large"]
    assert model.rows == 300
    assert model.learned_share == 0.6
    assert model.measured.apgr is not None
    assert model.measured.apgr > 0.7
    assert [each.share for each in model.thresholds[:3]] == [0, 0.05, 0.1]
    scores = [each.score for each in model.thresholds]
    assert scores == sorted(scores, reverse=True)
    assert model.knots[0][1] < 0.2
    assert model.knots[-1][1] > 0.5


def test_wording_is_learned_from_500_rows_on() -> None:
    assert fit(examples(WORDING_FROM - 1)).wording is None
    assert fit(examples(WORDING_FROM)).wording is not None


def test_each_pair_of_models_is_learned_for_itself_and_small_ones_are_told() -> None:
    heard: list[str] = []
    rows = [*examples(60), *examples(60, 2, None), *examples(10, 3, "tiny|large")]
    artefact = train(rows, heard.append)
    assert list(artefact.pairs) == ["small|large", UNNAMED]
    assert artefact.sources == {"own": 120}
    assert any("tiny|large: 10 rows are too few" in each for each in heard)


def test_people_hear_what_a_model_is_worth() -> None:
    heard: list[str] = []
    train(examples(200), heard.append)
    assert "learned from 200 rows, APGR 0." in heard[0]
    assert "not worth routing by" not in heard[0]


def test_people_hear_when_length_would_do() -> None:
    rows = [example(Row("a" * n, "own", None, 0, float(n > 60))) for n in range(120)]
    heard: list[str] = []
    train(rows[::-1], heard.append)
    assert heard[0].endswith(": not worth routing by")


def test_people_hear_when_the_stronger_model_is_no_better() -> None:
    rows = [example(Row("Why?", "own", None, 1, 0))] * 60
    heard: list[str] = []
    artefact = train(rows, heard.append)
    assert heard == [
        "weak|strong: learned from 60 rows, but the stronger model is no better on them"
    ]
    assert artefact.pairs["weak|strong"].measured.apgr is None


def test_nothing_is_learned_from_too_few_rows() -> None:
    with pytest.raises(ValueError, match="no pair of models has 50 labelled rows"):
        train(examples(49), quiet)


def test_an_artefact_knows_the_rows_it_has_seen() -> None:
    rows = examples(60)
    artefact = train(rows, quiet)
    assert trained_on_these(artefact, rows)
    assert not trained_on_these(artefact, examples(60, seed=2))


def test_equal_prompts_with_equal_outcomes_are_learned_from_without_a_division_by_zero() -> None:
    model = fit(examples(2)[:1] * 60)
    assert {each.weight for each in model.features.values()} == {0.0}
    assert model.rules.scale == 0
