"""Limit rules: what one may say, and what is told to who wrote it wrongly."""

from typing import Any

import pytest

from gateway.core.limits import LimitRule, check_limits, seconds_of

RIGHT: list[tuple[dict[str, Any], str]] = [
    ({"requests": 60, "every": "1m", "burst": 10}, "60 requests per tenant every 1m"),
    ({"tokens": 5, "every": 90, "per": ["user", "model"]}, "5 tokens per user and model every 90s"),
    ({"input_tokens": 5, "each": "hour", "per": []}, "5 input tokens each hour"),
    ({"cost": 2.5, "each": "day", "zone": "Asia/Tokyo"}, "$2.5 per tenant each day in Asia/Tokyo"),
    ({"cost": 1234567, "each": "month"}, "$1234567 per tenant each month"),
    ({"concurrent": 20, "per": ["key"]}, "20 requests per key at once"),
    ({"requests": 9, "every": "2h", "per": ["label:team"], "name": "team"}, "team"),
]


@pytest.mark.parametrize(("fields", "title"), RIGHT)
def test_a_limit_is_called_what_it_says(fields: dict[str, Any], title: str) -> None:
    rule = LimitRule(**{**fields, "per": tuple(fields.get("per", ("tenant",)))})
    assert list(check_limits([rule])) == []
    assert rule.title() == title


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"every": 60}, "", "a limit has exactly one of requests, tokens, input_tokens,"),
    ({"requests": 1, "tokens": 1, "every": 60}, "", "not requests and tokens."),
    ({"requests": 1}, "", "write either `every` (a rate) or `each`"),
    ({"requests": 1, "every": 60, "each": "day"}, "", "write either `every`"),
    ({"requests": 1, "every": "1 minute"}, "every", "or a duration such as `10s`, `1m`"),
    ({"requests": 1, "every": "0s"}, "every", "this must be above 0 and at most a year."),
    ({"requests": 1, "every": "400d"}, "every", "at most a year."),
    ({"requests": 1, "each": "day", "burst": 5}, "burst", "`burst` goes with `every`."),
    ({"requests": 1, "every": 60, "zone": "UTC"}, "zone", "`zone` goes with `each`."),
    ({"requests": 1, "each": "day", "zone": "Berlin"}, "zone", "there is no such time zone."),
    ({"concurrent": 1, "every": 60}, "every", "it has no time."),
    ({"concurrent": 1, "burst": 1}, "burst", "it has no time."),
    ({"requests": 1, "every": 60, "per": ("users",)}, "per.0", "Known: `tenant`, `key`, `user`"),
    ({"requests": 1, "every": 60, "per": ("label:",)}, "per.0", "there is no such dimension."),
    ({"requests": 1, "every": 60, "per": ("user", "user")}, "per.1", "is there already."),
]


@pytest.mark.parametrize(("fields", "place", "what"), WRONG)
def test_a_limit_that_makes_no_sense_is_told_where_and_why(
    fields: dict[str, Any], place: str, what: str
) -> None:
    ((path, said),) = check_limits([LimitRule(**fields)])
    assert ".".join(map(str, path)) == f"0.{place}".removesuffix(".")
    assert what in said


def test_two_limits_of_one_name_need_another_name() -> None:
    twice = [LimitRule(requests=amount, each="day", name="daily") for amount in (9, 8)]
    ((_, what),) = check_limits(twice)
    assert what == "counts the same as `limits[0]`. Take one out, or give it another `name`."


def test_two_limits_that_count_the_same_are_told_apart_by_name_only() -> None:
    minute = LimitRule(requests=60, every="1m", per=("user", "model"))
    again = LimitRule(requests=9, every=60, per=("model", "user"))
    ((path, what),) = check_limits([minute, LimitRule(requests=1, every=1), again])
    assert (path, what) == (
        (2,),
        "counts the same as `limits[0]`. Take one out, or give it a `name`.",
    )
    named = LimitRule(requests=9, every=60, per=("model", "user"), name="other")
    assert list(check_limits([minute, named])) == []


def test_amounts_are_whole_units_and_dollars_are_micro_dollars() -> None:
    assert LimitRule(cost=0.1, each="day").amount == 100_000
    assert LimitRule(tokens=7, every=1, burst=3).capacity == 3
    assert LimitRule(tokens=7, every=1).capacity == 7


@pytest.mark.parametrize(
    ("text", "seconds"), [("10s", 10), ("1m", 60), ("2h", 7200), ("1d", 86_400), (0.5, 0.5)]
)
def test_durations_are_seconds(text: float | str, seconds: float) -> None:
    assert seconds_of(text) == seconds
