"""Meters: whose count a request goes to, and how much of it the request needs."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.core.chat import parse_request
from gateway.core.exchange import Caller, Exchange
from gateway.core.limits import LimitRule
from gateway.core.notes import Demand, Notes
from gateway.core.state import Budget, Limit, Rate, Slots
from gateway.stages.limit_meters import MOST_MADE, Meter, Meters, bounded, joined, user_of
from tests.fakes.limited import ALICE, BOB

DEMAND = Demand(100, 1000, 10_100, 300, stated=True, rates=(1_000_000, 10_000_000))
NOW = 1_795_000_000.0  # 2026-11-18T10:26:40Z


def exchange(caller: Caller = ALICE, *, address: str = "10.0.0.1", **fields: Any) -> Exchange:
    request = replace(parse_request("chat", BODY), fields={"model": "m", **fields})
    return Exchange(
        id="r", caller=caller, request=request, deadline=9.0, notes=Notes(), address=address
    )


BODY = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'


def meter(
    per: tuple[str, ...] = ("tenant",),
    *,
    of_tenant: bool = False,
    tenant: str = "alice",
    **rule: Any,
) -> Meter:
    fields = rule or {"requests": 5, "every": "1m"}
    policy = None if of_tenant else "default"
    return Meter(LimitRule(per=per, **fields), tenant, policy=policy)


def limit(counts: Meter, asked: Exchange, model: str = "m", now: float = NOW) -> Limit:
    return counts.limit([part(asked, model) for part in counts.parts], now)


def key(counts: Meter, caller: Caller = ALICE, model: str = "m", **fields: Any) -> str:
    return limit(counts, exchange(caller, **fields), model).key


@pytest.mark.parametrize("per", [("tenant",), ("key",), ("user",), ("ip",), ("user", "model")])
def test_what_clients_name_is_never_shared_by_tenants(per: tuple[str, ...]) -> None:
    assert key(meter(per), ALICE, user="x") != key(meter(per, tenant="bob"), BOB, user="x")
    assert meter(per).family == "requests"


@pytest.mark.parametrize("per", [(), ("model",), ("label:team",)])
def test_what_operators_name_is_shared_on_purpose_and_shown_to_nobody(
    per: tuple[str, ...],
) -> None:
    assert key(meter(per), ALICE) == key(meter(per, tenant="bob"), BOB)
    assert meter(per).family is None


@pytest.mark.parametrize("per", [(), ("model",), ("label:team",)])
def test_a_tenants_own_limit_is_its_own_whatever_it_goes_by(per: tuple[str, ...]) -> None:
    assert key(meter(per, of_tenant=True), ALICE) != key(
        meter(per, of_tenant=True, tenant="bob"), BOB
    )


def test_each_dimension_tells_requests_apart() -> None:
    plain = exchange(user="u")
    others = {
        "key": exchange(replace(ALICE, fingerprint="b"), user="u"),
        "user": exchange(user="v"),
        "ip": exchange(user="u", address="10.0.0.2"),
        "label:team": exchange(replace(ALICE, labels={"team": "x"}), user="u"),
    }
    for dimension, other in others.items():
        for per in (dimension, *others):
            counts = meter((per,))
            same = [limit(counts, each).key for each in (plain, other)]
            assert (same[0] == same[1]) is (per != dimension), (per, dimension)
    assert key(meter(("model",)), model="a") != key(meter(("model",)), model="b")


def test_a_count_outlives_another_amount_but_not_another_time_or_name() -> None:
    before = key(meter(requests=5, every="1m"))
    assert key(meter(requests=9, every=60, burst=2)) == before
    others: tuple[dict[str, Any], ...] = (
        {"requests": 5, "every": "2m"},
        {"requests": 5, "every": "1m", "name": "x"},
        {"tokens": 5, "every": "1m"},
        {"requests": 5, "each": "day"},
    )
    for other in others:
        assert key(meter(**other)) != before


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_b03_no_parts_of_a_key_can_look_like_other_parts(one: list[str], two: list[str]) -> None:
    assert (joined(one) == joined(two)) is (one == two)


@given(st.text())
def test_a_strangers_text_is_short_and_visible_in_a_key_and_stays_apart(text: str) -> None:
    told = bounded(text)
    assert len(told) <= 64
    assert told.isascii()
    assert told.isprintable()
    assert bounded(text) == told
    assert bounded(told) == told or told.startswith("#")


def test_nobody_can_pass_for_a_digest() -> None:
    assert bounded(bounded("x" * 99)) != bounded("x" * 99)


@pytest.mark.parametrize(
    ("fields", "user"),
    [
        ({}, ""),
        ({"user": "ann"}, "ann"),
        ({"metadata": {"user_id": "ann"}}, "ann"),
        ({"metadata": {"user": "ann"}}, "ann"),
        ({"user": 7}, ""),
        ({"metadata": "ann"}, ""),
        ({"metadata": {"user_id": ["ann"]}}, ""),
    ],
)
def test_a_request_says_whom_it_is_for_in_either_dialect(fields: dict[str, Any], user: str) -> None:
    assert user_of(fields) == user


def test_the_window_of_a_budget_is_part_of_its_key() -> None:
    counts = meter(cost=5.0, each="day")
    today = limit(counts, exchange())
    assert isinstance(today, Budget)
    assert today.key.endswith("@2026-11-18")
    assert today.ends == 1_795_046_400.0
    tomorrow = limit(counts, exchange(), now=NOW + 86_400)
    assert tomorrow.key.removesuffix("19") == today.key.removesuffix("18")


@pytest.mark.parametrize(
    ("rule", "kind", "amount"),
    [
        ({"requests": 5, "every": "1m", "burst": 2}, Rate, 1),
        ({"concurrent": 5}, Slots, 1),
        ({"input_tokens": 10, "every": "1m"}, Rate, 100),
        ({"output_tokens": 1000, "every": "1m"}, Rate, 300),
        ({"output_tokens": 250, "every": "1m"}, Rate, 250),
        ({"output_tokens": 100, "each": "day"}, Budget, 1000),
        ({"tokens": 10_000, "every": "1m"}, Rate, 400),
        ({"tokens": 350, "every": "1m"}, Rate, 350),
        ({"tokens": 50, "every": "1m"}, Rate, 100),
        ({"tokens": 50, "each": "day"}, Budget, 1100),
        ({"cost": 1.0, "each": "day"}, Budget, 10_100),
        ({"cost": 0.001, "every": "1d"}, Rate, 10_100),
    ],
)
def test_a_budget_takes_what_is_possible_and_a_rate_of_tokens_what_is_likely(
    rule: dict[str, Any], kind: type, amount: int
) -> None:
    counts = meter(**rule)
    assert isinstance(limit(counts, exchange()), kind)
    assert Meters([counts]).amounts(DEMAND if counts.measured else None) == [amount]


def test_a_guess_takes_no_more_than_there_is() -> None:
    guess = replace(DEMAND, stated=False)
    assert meter(tokens=500, each="day").amount(guess) == 500
    assert meter(cost=0.005, each="day").amount(guess) == 5000
    assert meter(cost=0.00005, each="day").amount(guess) == 100


def test_what_was_used_is_counted_in_the_units_of_the_limit() -> None:
    rules: list[dict[str, Any]] = [
        {kind: 1, "each": "day"} for kind in ("tokens", "input_tokens", "output_tokens", "cost")
    ]
    meters = Meters([meter(**rule) for rule in rules])
    assert list(meters.used(brought=10, answer=5, money=70)) == [15, 10, 5, 70]


def test_limits_are_made_once_for_a_window_and_for_everybody_who_shares_them() -> None:
    meters = Meters([meter(), meter(cost=5.0, each="day"), meter(("user",))])
    first = meters.limits(exchange(user="ann"), "m", NOW)
    assert meters.limits(exchange(user="ann", n=2), "m", NOW + 60) is first
    other = meters.limits(exchange(user="ben"), "m", NOW)
    assert [one.key == two.key for one, two in zip(first, other, strict=True)] == [
        True,
        True,
        False,
    ]
    tomorrow = meters.limits(exchange(user="ann"), "m", NOW + 86_400)
    assert tomorrow[1].key.endswith("@2026-11-19")
    assert meters.limits(exchange(user="ann"), "m", NOW)[1].key.endswith("@2026-11-18")


def test_strangers_who_name_many_users_fill_no_memory() -> None:
    meters = Meters([meter(("user",))])
    for number in range(MOST_MADE + 10):
        meters.limits(exchange(user=f"u{number}"), "m", NOW)
    assert len(meters.made) == MOST_MADE
