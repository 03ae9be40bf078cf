"""Costs are whole micro-dollars, exact to the last one."""

from decimal import ROUND_HALF_UP, Decimal

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.catalogue import Price
from gateway.core.money import cost, dearest, in_words
from gateway.core.reply import Usage

GPT = Price(input=2.5, output=10.0, cached=1.25)


def test_input_and_output_are_charged_by_the_token() -> None:
    assert cost(Usage(input=1000, output=500), GPT) == 2500 + 5000


def test_amounts_are_written_out_also_very_small_and_very_large_ones() -> None:
    amounts = [5_000_000, 2_500_000, 85, 1_234_567_890_000, 0]
    assert list(map(in_words, amounts)) == ["$5", "$2.5", "$0.000085", "$1234567.89", "$0"]


def test_cached_tokens_are_part_of_the_input_and_cost_their_own_price() -> None:
    assert cost(Usage(input=1000, cached=800), GPT) == 500 + 1000


def test_cached_and_cache_write_default_to_the_input_price() -> None:
    plain = Price(input=3, output=15)
    assert cost(Usage(input=10, cached=4, cache_write=4), plain) == 30
    dear = Price(input=3, output=15, cache_write=3.75)
    assert cost(Usage(input=8, cache_write=8), dear) == 30


def test_more_cached_than_input_never_gives_a_refund() -> None:
    assert cost(Usage(input=5, cached=10), GPT) == 13


def test_halves_are_rounded_up_even_where_floats_lose_them() -> None:
    assert cost(Usage(input=1), Price(input=0.5, output=0)) == 1
    assert cost(Usage(input=1), Price(input=0.4999, output=0)) == 0
    assert 0.145 * 100 < 14.5, "what a float would make of it"
    assert cost(Usage(input=100), Price(input=0.145, output=0)) == 15


def test_nothing_used_costs_nothing_and_reasoning_is_part_of_the_output() -> None:
    assert cost(Usage(), GPT) == 0
    assert cost(Usage(output=10, reasoning=10), GPT) == 100


prices = st.decimals(0, 10_000, places=6, allow_nan=False)


@given(st.integers(0, 10**8), st.integers(0, 10**8), prices, prices)
def test_every_cost_is_what_a_cashier_with_decimals_would_say(
    asked: int, answered: int, first: Decimal, second: Decimal
) -> None:
    price = Price(input=float(first), output=float(second))
    exact = asked * first + answered * second
    expected = int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))
    assert cost(Usage(input=asked, output=answered), price) == expected


def test_what_is_written_for_an_hour_has_a_price_of_its_own() -> None:
    claude = Price(input=1, output=5, cache_write=1.25, cache_write_1h=2)
    assert cost(Usage(input=1000, cache_write=800, cache_write_1h=600), claude) == 200 + 250 + 1200
    assert dearest(claude) == (2_000_000, 5_000_000)
    plain = Price(input=1, output=5, cache_write=1.25)
    assert cost(Usage(input=800, cache_write=800, cache_write_1h=600), plain) == 1000
