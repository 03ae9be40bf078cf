"""What is counted of pairs whose meaning is known."""

from array import array

import pytest

from gateway.core.embedding import Embedded
from gateway.stages.semantic_cache.scoring import (
    Outcome,
    Pair,
    cosine,
    of_pairs,
    outcome,
    score,
    suggestion,
    vetoes,
)

LATIN = frozenset({"latin"})
ASKED = Embedded(array("f", [1, 0]).tobytes(), 5)
NEAR = Embedded(array("f", [0.96, 0.28]).tobytes(), 5)
FAR = Embedded(array("f", [0.6, 0.8]).tobytes(), 5)
OUTCOMES = [
    Outcome(right=True, cosine=0.97),
    Outcome(right=True, cosine=0.93),
    Outcome(right=True, cosine=0.99, gate="order"),
    Outcome(right=False, cosine=0.91),
    Outcome(right=False, cosine=0.99, gate="number"),
    Outcome(right=False, cosine=0.2, exact=True),
]


def test_a_pair_is_looked_up_by_its_cosine_and_its_gates() -> None:
    pair = Pair("How do I buy gold?", "How do I sell gold?", 0)
    found = outcome(pair, NEAR, ASKED, LATIN)
    assert found.cosine == pytest.approx(0.96)
    assert (found.gate, found.right, found.exact) == ("antonym", False, False)


def test_no_gate_is_asked_about_what_no_threshold_serves() -> None:
    pair = Pair("How do I buy gold?", "How do I sell gold?", 0)
    assert outcome(pair, FAR, ASKED, LATIN).gate == ""


def test_a_question_that_may_not_be_compared_is_not() -> None:
    pair = Pair("What is new?", "What is new today?", 1)
    assert outcome(pair, NEAR, ASKED, LATIN).gate == "time_dependent"


def test_one_question_in_normal_form_is_an_exact_hit_whatever_it_looks_like() -> None:
    assert outcome(Pair("What is  new", "what is new?", 1), FAR, ASKED, LATIN).exact


def test_a_setting_is_scored_by_what_it_serves() -> None:
    found = score(OUTCOMES, 0.9, gates=True)
    assert (found.lookups, found.hits, found.exact, found.wrong) == (6, 4, 1, 2)
    assert found.precision == 0.5
    assert found.recall == pytest.approx(2 / 3)
    assert found.wrong_per_lookup == pytest.approx(1 / 3)
    assert found.negatives_served == pytest.approx(2 / 3)


def test_the_cosine_alone_asks_no_gate() -> None:
    assert score(OUTCOMES, 0.9, gates=False).hits == 6


def test_what_gates_kept_is_told_by_gate() -> None:
    assert vetoes(OUTCOMES, 0.9) == {"number": (0, 1), "order": (1, 0)}


def test_the_lowest_threshold_with_few_enough_wrong_hits_is_suggested() -> None:
    found = suggestion(of_pairs(OUTCOMES), most_wrong=0.2)
    assert found is not None
    assert (found.threshold, found.wrong) == (0.915, 1)


def test_nothing_is_suggested_where_even_exact_hits_are_too_often_wrong() -> None:
    assert suggestion(of_pairs(OUTCOMES), most_wrong=0.1) is None


def test_without_pairs_there_are_no_shares() -> None:
    none = score([], 0.9, gates=True)
    assert (none.precision, none.recall, none.wrong_per_lookup, none.negatives_served) == (0,) * 4


def test_vectors_are_multiplied() -> None:
    assert cosine(NEAR.vector, FAR.vector) == pytest.approx(0.8)
