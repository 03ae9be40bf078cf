"""Recorded requests, looked up one after another."""

from typing import Any

from gateway.stages.semantic_cache.history import Earlier, Request, of_traffic
from gateway.stages.semantic_cache.lookup import MOST
from gateway.stages.semantic_cache.scoring import Score, suggestion

DAY = 86_400


def at(second: float, key: str, *near: Earlier, **more: Any) -> Request:
    return Request(second, key, near=near, **more)


def scored(*requests: Request, threshold: float = 0.9, gates: bool = True) -> Score:
    return of_traffic(requests, DAY, {}).score(threshold, gates)


def test_the_same_request_is_an_exact_hit_as_long_as_its_answer_is_fresh() -> None:
    found = scored(at(0, "a"), at(1, "a"), at(DAY, "a"), at(DAY + 1, "a"))
    assert (found.lookups, found.hits, found.exact, found.wrong) == (4, 2, 2, 0)
    assert (found.positives, found.recall, found.precision) == (2, 1, 1)


def test_a_similar_question_is_right_wrong_or_nobody_knows() -> None:
    for same, right, wrong, unknown in ((True, 1, 0, 0), (False, 0, 1, 0), (None, 0, 0, 1)):
        found = scored(at(0, "a"), at(1, "b", Earlier(0, 0.95, "", same)))
        assert (found.hits, found.exact) == (1, 0)
        assert (found.right, found.wrong, found.unknown) == (right, wrong, unknown)


def test_thresholds_and_gates_keep_questions_apart() -> None:
    log = [at(0, "a"), at(1, "b", Earlier(0, 0.95, "number", same=False))]
    assert scored(*log).hits == 0
    assert scored(*log, gates=False).wrong == 1
    assert scored(*log, gates=False, threshold=0.96).hits == 0
    assert of_traffic(log, DAY, {}).vetoes(0.9) == {"number": (0, 1)}


def test_a_hit_stores_nothing_so_the_next_one_meets_the_first() -> None:
    log = [
        at(0, "a"),
        at(1, "b", Earlier(0, 0.95, "", same=True)),
        at(2, "c", Earlier(1, 0.99, "", same=True), Earlier(0, 0.91, "", same=False)),
    ]
    assert scored(*log).wrong == 1
    assert scored(*log, threshold=0.92).hits == 1
    assert scored(*log, threshold=0.97).hits == 1


def test_what_is_past_serves_nobody_and_neither_does_what_is_not_stored() -> None:
    old = at(DAY, "b", Earlier(0, 0.99, "", same=True))
    assert scored(at(0, "a"), old).hits == 0
    assert scored(at(0, "a", stores=False), at(1, "b", Earlier(0, 0.99, "", same=True))).hits == 0
    assert scored(at(0, "a", stores=False), at(1, "a")).hits == 0


def test_who_does_not_read_is_no_look_up_but_stores() -> None:
    found = scored(at(0, "a"), at(1, "a", reads=False), at(2, "a"))
    assert (found.lookups, found.hits) == (2, 1)


def test_only_so_many_neighbours_are_looked_at_as_in_the_stage() -> None:
    first = [at(0, f"k{n}") for n in range(MOST + 1)]
    near = [Earlier(n, 0.99, "number") for n in range(MOST)]
    assert scored(*first, at(1, "x", *near, Earlier(MOST, 0.95, "", same=True))).hits == 0
    assert scored(*first, at(1, "x", *near[1:], Earlier(MOST, 0.95, "", same=True))).hits == 1


def test_negatives_are_what_no_answer_fits_that_is_near_and_known() -> None:
    log = [
        at(0, "a"),
        at(1, "b", Earlier(0, 0.95, "", same=False)),
        at(2, "c", Earlier(0, 0.95, "number", same=False)),
        at(3, "d", Earlier(0, 0.95, "", same=None)),
    ]
    found = scored(*log)
    assert (found.negatives, found.negatives_hit, found.negatives_served) == (2, 1, 0.5)
    assert found.wrong_per_lookup == 0.25


def test_nothing_is_suggested_where_nobody_knows_what_it_would_serve() -> None:
    unknown = at(1, "b", Earlier(0, 0.95, ""))
    known = at(2, "c", Earlier(0, 0.95, "", same=True))
    first = of_traffic([at(0, "a"), unknown, known], DAY, {})
    found = suggestion(first, 0.01)
    assert found is not None
    assert found.threshold == 0.8
    second = of_traffic([at(0, "a"), unknown], DAY, {})
    found = suggestion(second, 0.01)
    assert found is not None
    assert found.threshold == 0.955
