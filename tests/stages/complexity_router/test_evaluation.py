"""Measuring: what was not seen, beside length, rules and chance."""

import random

import pytest

from gateway.stages.complexity_router.evaluation import METHODS, OURS, evaluate
from gateway.stages.complexity_router.labelled import Row, example
from gateway.stages.complexity_router.training import train
from tests.stages.complexity_router.rows import examples


def quiet(_: str) -> None:
    """Hear of the progress."""


def test_every_method_is_measured_on_the_same_rows() -> None:
    report = evaluate(examples(300), None, 3, quiet)
    assert set(report.by_source["own"]) == set(report.overall) == set(METHODS)
    assert report.tested == {"own": 300}
    assert report.overall[OURS].apgr > 0.7
    assert report.overall["random"].apgr == pytest.approx(0.5, abs=0.12)


def test_a_report_is_the_same_each_time() -> None:
    assert evaluate(examples(120), None, 2, quiet) == evaluate(examples(120), None, 2, quiet)


@pytest.mark.parametrize("count", [600, 4200])
def test_labels_without_a_reason_are_not_learned(count: int) -> None:
    """A leak of a row's own label into its score would look like skill here."""
    chance = random.Random(4)
    rows = [
        example(Row(e.row.prompt, "own", None, chance.randrange(2), chance.randrange(2)))
        for e in examples(count)
    ]
    rows = [row for row in rows if row.gain >= 0]
    report = evaluate(rows, None, 2, quiet)
    assert report.overall[OURS].apgr == pytest.approx(0.5, abs=0.08)


def test_from_3000_rows_on_1500_are_learned_from_and_the_others_judged() -> None:
    report = evaluate(examples(3000), None, 1, quiet)
    assert report.tested == {"own": 1500}


def test_an_artefact_is_judged_on_all_rows_as_it_is() -> None:
    artefact = train(examples(200, seed=5), quiet)
    report = evaluate(examples(300), artefact, 10, quiet)
    assert (report.draws, report.tested) == (1, {"own": 300})
    assert report.overall[OURS].apgr > 0.7


def test_a_pair_that_an_artefact_does_not_know_is_left_to_the_rules() -> None:
    artefact = train(examples(200, seed=5, pair="other|pair"), quiet)
    heard: list[str] = []
    found = evaluate(examples(300), artefact, 1, heard.append).by_source["own"]
    assert heard[0] == "300 rows are of pairs that it was not trained for: rules judge those"
    assert found[OURS].apgr == found["cold start"].apgr


def test_the_share_that_a_threshold_of_200_prompts_comes_to_is_near_the_target() -> None:
    share = evaluate(examples(1000), None, 1, quiet).shares["own"]
    assert abs(share.error_points) < 2
    assert share.near > 0.85


def test_rows_without_labels_and_gaps_that_cannot_be_closed_have_no_figures() -> None:
    unlabelled = [example(Row(f"Why {n}?", "mute")) for n in range(300)]
    worse = [example(Row(f"Why {n}?", "worse", None, 1, n % 2)) for n in range(60)]
    report = evaluate([*unlabelled, *worse, *examples(60)], None, 1, quiet)
    assert list(report.by_source) == ["own"]
    assert list(report.shares) == ["mute"]
