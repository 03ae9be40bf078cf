"""Conditions of targets, and the one object that holds them."""

from collections.abc import Callable, Sequence
from random import Random

import pytest
from msgspec.structs import replace

from gateway.core.bulletin import Notice
from gateway.core.condition import Condition
from gateway.core.health import Health


def make() -> tuple[Health, Condition]:
    health = Health(Random(0))
    return health, health.condition("acme", "small")


def test_a_target_is_the_same_one_every_time_and_shares_its_key() -> None:
    health, small = make()
    assert health.condition("acme", "small") is small
    large = health.condition("acme", "large")
    assert large.key is small.key
    assert large.breaker is not small.breaker
    pool = frozenset({"acme", "other"})
    assert health.budget(pool, 5) is health.budget(frozenset({"other", "acme"}), 9)
    assert [name for name, _ in health.budgets()] == ["acme,other"]


def test_the_report_says_it_all_in_seconds_from_now() -> None:
    health, small = make()
    small.answered(100, "one")
    small.pause(100, 30)
    small.breaker.trip(100)
    health.budget(frozenset({"acme"}), 100)
    report = health.report(101)
    [target], [budget] = report["targets"], report["budgets"]
    assert target["provider"] == "acme"
    assert (target["breaker"], target["paused_for"], target["key"]) == ("open", 29, "good")
    assert 3 < target["probe_in"] < 5
    assert budget == {
        "providers": "acme",
        "tokens": 20,
        "granted": 0,
        "refused": 0,
        "hedged": 0,
        "hedges_won": 0,
        "hedges_lost": 0,
        "hedges_usd": 0,
    }
    assert report["suspects"] == 0


# --- what other processes find out ----------------------------------------------------------------

DOWN = Notice("down", "acme", "small", 8.0, id="two 1")


class Board:
    """A bulletin that keeps what is posted."""

    def __init__(self) -> None:
        self.posted: list[Notice] = []

    def post(self, notice: Notice, /) -> None:
        self.posted.append(notice)

    def follow(self, callback: Callable[[Sequence[Notice]], None], /) -> None: ...


def sharing() -> tuple[Health, Condition, list[Notice]]:
    board = Board()
    health = Health(Random(0), bulletin=board)
    health.keyed("acme", "5ecae7")
    return health, health.condition("acme", "small"), board.posted


def test_openings_long_pauses_and_refused_keys_are_posted_once() -> None:
    _, small, posted = sharing()
    for _ in range(20):
        small.failed(100, "one", None, telling=True)
    small.pause(100, 0.5)
    small.pause(100, 30)
    small.pause(100.2, 30)
    for _ in range(2):
        small.denied(100, None, "upstream_denied")
    assert [(each.kind, each.model, each.mark) for each in posted] == [
        ("down", "small", ""),
        ("paused", "small", "5ecae7"),
        ("denied", "", "5ecae7"),
    ]
    assert posted[0].seconds == small.breaker.until - 100
    assert posted[1].seconds == 30


def test_a_target_that_others_found_down_is_left_alone_then_probed() -> None:
    health, small, posted = sharing()
    health.hear([DOWN], 100)
    assert not small.available(107.9)
    assert not small.better_than_nothing(101)
    assert small.available(108)
    probe = small.enter(108)
    health.hear([replace(DOWN, seconds=1)], 108)
    small.answered(109, "one", probe)
    assert small.breaker.closed
    health.hear([replace(DOWN, seconds=1)], 120)
    assert small.breaker.closed, "what was heeded once is not heeded again"
    assert posted == [], "nobody tells what he was told"


def test_a_probe_that_fails_here_too_is_longer_in_coming_again() -> None:
    health, small, posted = sharing()
    health.hear([DOWN], 100)
    small.failed(109, "one", small.enter(108), telling=True)
    assert small.breaker.until - 109 == pytest.approx(16, rel=0.1)
    assert [each.kind for each in posted] == ["down"]


def test_nobody_believes_that_a_target_fails_which_answered_him_just_now() -> None:
    health, small, _ = sharing()
    small.answered(100, "one")
    health.hear([DOWN], 101)
    assert small.breaker.closed
    small.failed(101, "one", None, telling=True)
    health.hear([replace(DOWN, seconds=7.5)], 101.5)
    assert small.breaker.until == 109


def test_a_pause_and_a_refusal_are_about_one_key() -> None:
    health, small, posted = sharing()
    paused = Notice("paused", "acme", "small", 20.0, "another", id="two 2")
    denied = Notice("denied", "acme", "", 20.0, "another", id="two 3")
    health.hear([paused, denied], 100)
    assert small.available(100)
    same = [replace(each, mark="5ecae7", id=f"{each.id}0") for each in (paused, denied)]
    health.hear(same, 100)
    assert small.paused_until == 120
    assert not small.key.closed
    small.pause(101, 19.5)
    assert posted == []


def test_another_key_is_tried_at_once() -> None:
    health, small, _ = sharing()
    small.denied(100, None, "upstream_denied")
    health.keyed("acme", "5ecae7")
    assert not small.available(101)
    health.keyed("acme", "0e0e0e")
    assert small.available(101)


def test_what_is_heard_of_an_unknown_target_is_heeded_when_some_policy_names_it() -> None:
    health, _, _ = sharing()
    heard = [Notice("failing", "other", "large", 8.0, id="two 4")]
    health.hear(heard, 100)
    large = health.condition("other", "large")
    health.hear(heard, 100.5)
    assert not large.available(101)
    assert large.better_than_nothing(101)


def test_orders_are_reported_once_for_as_long_as_somebody_uses_them() -> None:
    class Shown:
        def standings(self, now: float) -> list[dict[str, float]]:
            return [{"at": now}]

    health, one, other = Health(Random(0)), Shown(), Shown()
    health.show(one)
    health.show(other)
    assert health.report(7.0)["orders"] == [{"at": 7.0}]
    del one, other
    assert health.report(7.0)["orders"] == []
