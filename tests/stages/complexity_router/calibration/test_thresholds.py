"""Thresholds: where they start, how fast they move, and that tiers get their shares."""

from collections import Counter
from itertools import accumulate, pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.stages.complexity_router.calibration.sketch import BINS, Sketch, bin_of
from gateway.stages.complexity_router.calibration.thresholds import (
    FASTEST,
    START,
    STEP,
    Thresholds,
    decoded,
    encoded,
    moved,
)

SHARES = (0.6, 0.3, 0.1)
CELLS = st.dictionaries(st.integers(0, BINS - 1), st.integers(1, 500), min_size=1, max_size=30)
WEIGHTS = st.lists(st.floats(0.01, 1), min_size=2, max_size=4)


def filled(cells: dict[int, int]) -> Sketch:
    """With as many scores as are needed."""
    return Sketch({cell: count * START for cell, count in cells.items()})


def shares_of(weights: list[float]) -> tuple[float, ...]:
    return tuple(weight / sum(weights) for weight in weights)


def realised(thresholds: Thresholds, bins: list[int], chance: Random) -> list[float]:
    tiers = Counter(thresholds.tier(number + chance.random()) for number in bins)
    return [tiers[tier] / len(bins) for tier in range(len(thresholds.places) + 1)]


def test_nothing_is_decided_by_fewer_than_200_scores() -> None:
    assert moved(None, Sketch({1: 199}), SHARES, 0.0) is None
    assert moved(None, Sketch({1: 200}), SHARES, 0.0) is not None


def test_thresholds_stay_while_the_window_holds_too_few_scores() -> None:
    current = Thresholds(0.0, (1.0, 2.0))
    assert moved(current, Sketch({400: 199}), SHARES, 1e6) is current


@given(CELLS, WEIGHTS)
def test_the_first_thresholds_give_each_tier_its_share_at_once(
    cells: dict[int, int], weights: list[float]
) -> None:
    sketch, shares = filled(cells), shares_of(weights)
    first = moved(None, sketch, shares, 5.0)
    assert first is not None
    assert first.at == 5.0
    assert first.shares(sketch) == pytest.approx(shares, abs=1e-9)


@given(
    weights=st.lists(st.integers(0, 9), min_size=1, max_size=40).filter(any),
    spread=st.lists(st.floats(0, 1), min_size=40, max_size=40),
    shares=WEIGHTS,
    seed=st.integers(0, 1 << 30),
)
@settings(derandomize=True, max_examples=60)
def test_tiers_get_their_shares_of_any_steady_stream_ties_or_not(
    weights: list[int], spread: list[float], shares: list[float], seed: int
) -> None:
    chance, wanted = Random(seed), shares_of(shares)
    stream = [bin_of(score) for score in chance.choices(spread[: len(weights)], weights, k=6_000)]
    found = moved(None, Sketch(Counter(stream[:2_000])), wanted, 0.0)
    assert found is not None
    # Five standard errors of both samples: 2,000 that it learned from, 4,000 that it decided.
    assert realised(found, stream[2_000:], chance) == pytest.approx(wanted, abs=0.07)


@given(
    sketches=st.lists(CELLS, min_size=1, max_size=12),
    shares=st.lists(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), min_size=1, max_size=4),
    waits=st.lists(st.floats(0, 900) | st.just(1e5), min_size=1, max_size=12),
)
def test_no_threshold_ever_moves_by_more_than_two_points_in_any_hour(
    sketches: list[dict[int, int]], shares: list[list[float]], waits: list[float]
) -> None:
    now, current = 0.0, Thresholds(0.0, (100.0, 300.0))
    moves: list[tuple[float, float]] = []
    for number in range(240):
        now += waits[number % len(waits)] if number % 3 == 0 else 5.0
        sketch = filled(sketches[(number // 20) % len(sketches)])
        wanted = shares_of(shares[(number // 40) % len(shares)])
        following = moved(current, sketch, wanted, now)
        assert following is not None
        pairs = zip(following.places, current.places, strict=True)
        moves.append((now, max(abs(sketch.below(a) - sketch.below(b)) for a, b in pairs)))
        assert all(low <= high for low, high in pairwise(following.places))
        current = following
    for start, _ in moves:
        hour = sum(move for at, move in moves if start <= at <= start + 3_600)
        assert hour <= FASTEST + 1e-9


def test_a_drift_of_ten_points_is_made_up_for_in_five_hours_and_a_bit() -> None:
    current = moved(None, Sketch({100: 700, 400: 300}), (0.7, 0.3), 0.0)
    drifted, now = Sketch({100: 600, 400: 400}), 0.0
    while current is not None and current.shares(drifted)[1] > 0.3 + 1e-9:
        now += STEP
        current = moved(current, drifted, (0.7, 0.3), now)
    assert 5 * 3_600 < now < 5.2 * 3_600


def test_a_minute_has_to_pass_between_two_moves() -> None:
    current = Thresholds(0.0, (100.0,))
    sketch = Sketch(dict.fromkeys(range(BINS), 10))
    assert moved(current, sketch, (0.5, 0.5), STEP - 1) is current
    assert moved(current, sketch, (0.5, 0.5), STEP) is not current


def test_what_is_where_it_should_be_stays() -> None:
    sketch = Sketch(dict.fromkeys(range(BINS), 10))
    current = moved(None, sketch, SHARES, 0.0)
    assert moved(current, sketch, SHARES, 1e6) is current


def test_a_tier_without_a_share_gets_nothing() -> None:
    sketch = Sketch({100: 500, 300: 500})
    chance = Random(1)
    for shares in ((0.0, 0.5, 0.5), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0)):
        found = moved(None, sketch, shares, 0.0)
        assert found is not None
        stream = [chance.randrange(BINS) for _ in range(500)]
        assert realised(found, stream, chance)[shares.index(0.0)] == 0


@given(CELLS, WEIGHTS)
def test_what_is_written_is_read_alike(cells: dict[int, int], weights: list[float]) -> None:
    found = moved(None, filled(cells), shares_of(weights), 7.5)
    assert found is not None
    assert decoded(encoded(found), len(weights)) == found
    assert decoded(encoded(found), len(weights) + 1) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"at": 1, "places": [1]}',
        '{"at": 1, "places": [2, 1]}',
        '{"at": 1, "places": [-1, 2]}',
        '{"at": 1, "places": [1, 2049]}',
        '{"at": 1, "places": [1, 2], "more": 3}',
        '{"at": "now", "places": [1, 2]}',
    ],
)
def test_what_is_not_what_it_says_is_none(text: str) -> None:
    assert decoded(text, 3) is None


def test_the_shares_of_other_traffic_can_be_told() -> None:
    found = Thresholds(0.0, (BINS / 4, BINS / 2))
    sketch = Sketch(dict.fromkeys(range(BINS), 1))
    assert found.shares(sketch) == (0.25, 0.25, 0.5)
    assert list(accumulate(found.shares(sketch)))[-1] == 1.0
