"""Whom to ask next, and what is told of the others."""

from gateway.core.errors import BadRequest, CapabilityMissing, Forbidden
from gateway.core.notes import Wasted
from gateway.stages.failover.choice import Choice
from tests.fakes.failover import House


def choice(house: House, ceiling: int | None = None, **asked: object) -> Choice:
    exchange = house.exchange(**asked)  # type: ignore[arg-type]  # what a request may have
    return Choice(house.stage_targets().of(exchange).candidates, exchange, ceiling)


def name(found: object) -> str:
    return "" if found is None else str(found.model.name)  # type: ignore[attr-defined]  # a candidate


def test_a_target_that_was_dropped_does_not_come_again_and_one_that_was_deferred_does() -> None:
    house = House()
    left, now = choice(house), house.clock.now
    one = left.best(now, first=True)
    assert one is not None
    left.defer(one, "upstream_busy")
    two = left.best(now, first=False)
    assert two is not None
    left.drop(two, "upstream_reset")
    assert [name(each) for each in left.left] == ["three", "one"]
    assert left.routed(one).reason == "failover: a upstream_busy, b upstream_reset"
    assert left.count == 3


def test_who_is_left_alone_is_told_of_the_first_try_only() -> None:
    house = House()
    house.condition("a", "one").pause(house.clock.now, 30)
    left = choice(house)
    two = left.best(house.clock.now, first=False)
    assert two is not None
    assert left.routed(two) is two.first
    left.best(house.clock.now, first=True)
    assert left.routed(two).reason == "failover: a is left alone"


def test_where_no_target_fits_the_reasons_are_told() -> None:
    house = House({"model": "one", "tenants": ["gold"]})
    left = choice(house)
    assert left.misfit() is None
    assert left.best(house.clock.now, first=True) is None
    assert isinstance(left.misfit(), Forbidden)
    other = choice(House({"model": "one"}))
    other.skip(other.left[0], "tools", CapabilityMissing("no tools", param="tools"))
    assert isinstance(other.misfit(), CapabilityMissing)


def test_what_attempts_cost_that_broke_is_taken_from_the_ceiling() -> None:
    house = House({"model": "one"})
    left = choice(house, 11_000, max_tokens=1_000)
    assert name(left.best(house.clock.now, first=True)) == "one"
    left.lost.append(Wasted("a", "one", 900, 1_500))
    assert left.best(house.clock.now, first=False) is None
    assert isinstance(left.misfit(), BadRequest)


def test_for_a_race_it_is_another_one_that_may_be_asked() -> None:
    house = House()
    left, now = choice(house), house.clock.now
    one = left.best(now, first=True)
    assert one is not None
    assert name(left.beside(one, now)) == "two"
    house.condition("b", "two").pause(now, 30)
    assert name(left.beside(one, now)) == "three"
