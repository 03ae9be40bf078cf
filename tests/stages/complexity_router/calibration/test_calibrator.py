"""A route's calibrator: rules first, then shares; agreed by all processes, slow, and watched."""

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest
from msgspec.structs import replace

from gateway.core.catalogue import Price
from gateway.core.errors import StateUnavailable
from gateway.core.tallies import Agreed
from gateway.stages.complexity_router.calibration.calibrator import Calibrator, Placed, Route
from gateway.stages.complexity_router.calibration.targets import Judged, Target
from gateway.state.tallies import Batch, Exchange, Found, SharedTallies, Wanted
from gateway.state.tallies_memory import in_memory
from tests.fakes.clock import FakeClock

PRICES = (Price(0.15, 0.60), Price(1.0, 5.0), Price(3.0, 15.0))
SHARES = Route("auto", "v1", Target(shares=(0.6, 0.3, 0.1)), PRICES)


class Fleet:
    """Some processes with one store, all in one time."""

    def __init__(self, processes: int = 1, exchange: Exchange | None = None) -> None:
        self.clock = FakeClock()
        self.exchange = exchange or in_memory()
        self.tallies = [self._join() for _ in range(processes)]

    def _join(self) -> SharedTallies:
        return SharedTallies(self.exchange, self.clock.uptime, self.clock)

    def build(self, route: Route = SHARES, seed: int = 1) -> list[Calibrator]:
        now = self.clock.uptime
        return [
            Calibrator(route, each, now, Random(seed + number))
            for number, each in enumerate(self.tallies)
        ]

    async def look(self, seconds: float = 5.0) -> None:
        self.clock.now += seconds
        for each in self.tallies:
            await each.look()


async def warm(
    fleet: Fleet, calibrators: list[Calibrator], draw: Callable[[], float], requests: int = 400
) -> None:
    """Send requests to all in turn, and let them agree."""
    for number in range(requests):
        calibrators[number % len(calibrators)].place(draw())
    for _ in range(3):
        await fleet.look()
        for each in calibrators:
            each.place(draw())
    await fleet.look()


def shares(placed: list[Placed]) -> list[float]:
    tiers = Counter(each.tier for each in placed)
    return [tiers[tier] / len(placed) for tier in range(3)]


async def test_rules_decide_until_200_prompts_were_seen_and_the_reason_says_so() -> None:
    fleet = Fleet()
    (one,) = fleet.build()
    chance = Random(3)
    for number in range(199):
        assert one.place(chance.random()).tier is None
        if number == 99:
            await fleet.look()
    assert one._lack() == "rules: 100 of 200 prompts seen"
    await fleet.look()
    assert one.place(0.5).reason == "rules: 199 of 200 prompts seen"
    await fleet.look()
    assert one.place(0.5).reason == "rules: no thresholds yet"
    await fleet.look()
    assert one.place(0.99).tier == 2
    placed = one.place(0.01)
    assert (placed.tier, placed.reason) == (0, "calibrated")
    assert placed.below == pytest.approx(0.01, abs=0.03)


async def test_then_tiers_get_their_shares_and_equal_scores_are_divided() -> None:
    fleet = Fleet()
    (one,) = fleet.build()
    chance = Random(4)

    def draw() -> float:
        return chance.choice((0.2, 0.2, 0.2, 0.9))

    await warm(fleet, [one], draw)
    found = shares([one.place(draw()) for _ in range(2_000)])
    assert found == pytest.approx([0.6, 0.3, 0.1], abs=0.06)


async def test_processes_warm_up_together_and_go_by_the_same_thresholds() -> None:
    fleet = Fleet(3)
    calibrators = fleet.build()
    await warm(fleet, calibrators, Random(5).random, requests=210)
    found = [each.thresholds for each in calibrators]
    assert found[0] is not None
    assert found[0] == found[1] == found[2]
    assert all(each.sketch.total >= 210 for each in calibrators), "none saw more than 75 itself"


async def test_a_process_that_comes_later_begins_with_what_was_agreed() -> None:
    fleet = Fleet()
    (one,) = fleet.build()
    await warm(fleet, [one], Random(6).random)
    fleet.tallies.append(fleet._join())
    late = fleet.build()[1]
    await fleet.look()
    assert late.place(0.5).tier is not None
    assert late.thresholds == one.thresholds


async def test_a_drift_alarms_and_the_share_returns_at_two_points_an_hour() -> None:
    fleet = Fleet()
    (one,) = fleet.build(replace(SHARES, target=Target(shares=(0.7, 0.3)), prices=PRICES[:2]))
    chance, news, tiers = Random(7), [], []
    await warm(fleet, [one], chance.random, requests=3_000)
    for minute in range(24 * 60):
        for _ in range(20):
            placed = one.place(min(1.0, chance.random() + 0.1))
            tiers.append(placed.tier)
            if placed.drift is not None:
                news.append((minute, placed.drift.over))
        await fleet.look(60.0)
    assert [over for _, over in news] == [False, True]
    assert news[0][0] < 60
    assert 2 * 60 < news[1][0] < 12 * 60
    last = tiers[-4_000:]
    assert sum(tier == 1 for tier in last) / len(last) == pytest.approx(0.3, abs=0.03)


async def test_another_target_is_gone_to_at_once() -> None:
    fleet = Fleet()
    (one,) = fleet.build()
    draw = Random(8).random
    await warm(fleet, [one], draw)
    (other,) = fleet.build(replace(SHARES, target=Target(shares=(0.1, 0.1, 0.8))))
    assert other.place(draw()).tier is None
    await fleet.look()
    other.place(draw())
    await fleet.look()
    found = shares([other.place(draw()) for _ in range(1_000)])
    assert found == pytest.approx([0.1, 0.1, 0.8], abs=0.06)


async def test_scores_of_another_model_are_learned_anew() -> None:
    fleet = Fleet()
    await warm(fleet, fleet.build(), Random(9).random)
    (other,) = fleet.build(replace(SHARES, score="v2"))
    await fleet.look()
    assert other.place(0.5).reason == "rules: 0 of 200 prompts seen"


async def test_scores_of_any_span_are_told_apart_within_it() -> None:
    """Rules give 0 to 15, gains are negative too."""
    for low, high in ((0.0, 15.0), (-0.5, 0.5)):
        fleet, chance = Fleet(), Random(16)
        (one,) = fleet.build(replace(SHARES, span=(low, high)))

        def draw(low: float = low, high: float = high, chance: Random = chance) -> float:
            return chance.uniform(low - 0.1, high + 0.1)

        await warm(fleet, [one], draw)
        found = shares([one.place(draw()) for _ in range(2_000)])
        assert found == pytest.approx([0.6, 0.3, 0.1], abs=0.06)
        assert one.place(low + 0.5 * (high - low)).tier == 0
        assert one.place(low + 0.8 * (high - low)).tier == 1


async def test_a_cost_becomes_shares_by_what_tiers_were_seen_to_cost() -> None:
    fleet = Fleet()
    (one,) = fleet.build(replace(SHARES, target=Target(cost_per_1k=3.0)))
    draw = Random(10).random
    await warm(fleet, [one], draw)
    assert one.place(0.5).reason == "rules: cost_per_1k: no request of any tier was counted yet"
    for tier in (0, 1, 2):
        for _ in range(1_000):
            one.spent(tier, 300, 500)
    await warm(fleet, [one], draw)
    found = shares([one.place(draw()) for _ in range(3_000)])
    costs = [(300 * price.input + 500 * price.output) / 1e6 for price in PRICES]
    cost = 1000 * sum(share * each for share, each in zip(found, costs, strict=True))
    assert cost == pytest.approx(3.0, rel=0.08)


async def test_a_quality_without_outcomes_leaves_it_to_the_rules_and_says_why() -> None:
    fleet = Fleet()
    route = replace(SHARES, target=Target(min_quality=0.98))
    (one,) = fleet.build(route)
    await warm(fleet, [one], Random(11).random)
    assert "min_quality needs 100 requests with outcomes" in one.place(0.5).reason
    judged = [Judged(n / 500, (float(n < 300), 1.0, 1.0)) for n in range(500)]
    (other,) = fleet.build(replace(route, judged=judged))
    await warm(fleet, [other], Random(12).random)
    assert other.place(0.01).tier == 0
    assert other.place(0.99).tier is not None


async def test_thresholds_stay_while_the_store_is_away() -> None:
    store, away = in_memory(), False

    async def exchange(batch: Batch, wanted: Wanted) -> Found:
        if away:
            raise StateUnavailable("away")
        return await store(batch, wanted)

    fleet = Fleet(1, exchange)
    (one,) = fleet.build()
    await warm(fleet, [one], Random(13).random)
    before = one.thresholds
    away = True
    for _ in range(50):
        assert one.place(0.99).tier == 2
        await fleet.look(60.0)
    assert one.thresholds == before


async def test_thresholds_that_are_not_what_they_say_are_made_anew() -> None:
    fleet = Fleet()
    (one,) = fleet.build()
    draw = Random(14).random
    await warm(fleet, [one], draw)
    name, agreed = one._name, fleet.tallies[0].agreed(one._name)
    fleet.tallies[0].propose(name, Agreed(agreed.version + 9, "{broken"))
    await fleet.look()
    assert one.place(draw()).tier is None
    await fleet.look()
    one.place(draw())
    assert one.place(0.99).tier == 2


async def test_what_is_no_number_is_neither_placed_nor_counted() -> None:
    fleet = Fleet()
    (one,) = fleet.build()
    with pytest.raises(ValueError, match="must be a number"):
        one.place(float("nan"))
    await fleet.look()
    one.place(0.5)
    assert one.sketch.total == 0
