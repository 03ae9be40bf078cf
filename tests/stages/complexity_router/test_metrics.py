"""APGR, CPT50 and CPT80, beside a second computation with other tools."""

import random

import pytest

from gateway.stages.complexity_router.metrics import Scored, curve, quantile, routing

np = pytest.importorskip("numpy", reason="the extra `semantic` is not installed")


def rows(seed: int, signal: float, count: int = 500) -> list[Scored]:
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        strong = float(chance.random() < 0.85)
        weak = float(chance.random() < 0.6)
        made.append(Scored(signal * (strong - weak) + chance.random(), weak, strong))
    return made


def published(scored: list[Scored]) -> tuple[float, float]:
    """APGR and CPT50 as evaluate.py writes them down: thresholds at quantiles, np.trapezoid."""
    score, weak, strong = (
        np.array([getattr(row, name) for row in scored]) for name in ("score", "weak", "strong")
    )
    edges = np.quantile(score, np.linspace(0, 1, 11))
    points = []
    for number, edge in enumerate(edges):
        chosen = score > edge if number == 10 else score >= edge
        points.append((chosen.mean(), np.where(chosen, strong, weak).mean()))
    points.sort()
    share, quality = (np.array(each) for each in zip(*points, strict=True))
    low, high = weak.mean(), strong.mean()
    half = np.interp(low + (high - low) / 2, quality, share) * 100
    return float((np.trapezoid(quality, share) - low) / (high - low)), float(half)


@pytest.mark.parametrize("seed", range(5))
def test_they_are_those_that_were_published(seed: int) -> None:
    scored = rows(seed, signal=0.5)
    found = routing(scored)
    assert found is not None
    apgr, half = published(scored)
    assert found.apgr == pytest.approx(apgr)
    assert found.cpt50 == pytest.approx(half)


def test_chance_is_a_half_and_foresight_is_more() -> None:
    blind, seeing = routing(rows(1, 0.0, 20_000)), routing(rows(1, 5.0, 20_000))
    assert blind is not None
    assert seeing is not None
    assert blind.apgr == pytest.approx(0.5, abs=0.03)
    assert blind.cpt50 == pytest.approx(50, abs=4)
    assert blind.cpt80 == pytest.approx(80, abs=4)
    assert seeing.apgr > 1
    assert seeing.cpt80 < 25


def test_equal_scores_say_nothing() -> None:
    found = routing([Scored(1.0, row.weak, row.strong) for row in rows(2, 0.0)])
    assert found is not None
    assert (found.apgr, found.cpt50, found.cpt80) == pytest.approx((0.5, 50, 80))


def test_where_the_strong_model_is_no_better_there_is_nothing_to_measure() -> None:
    assert routing([Scored(1, 1, 0), Scored(0, 0, 1)]) is None
    assert routing([]) is None


def test_the_curve_goes_from_always_weak_to_always_strong() -> None:
    scored = rows(3, 0.3)
    points = curve(scored)
    assert (points[0].share, points[-1].share) == (0, 1)
    assert points[0].quality == pytest.approx(sum(row.weak for row in scored) / len(scored))
    assert points[-1].quality == pytest.approx(sum(row.strong for row in scored) / len(scored))


def test_quantiles_lie_between_neighbours() -> None:
    assert [quantile([1, 2, 4], part) for part in (0, 0.5, 0.75, 1)] == [1, 2, 3, 4]
