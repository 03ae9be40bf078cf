"""Heads and the headers that explain an answer."""

import pytest

from gateway.core.exchange import Exchange
from gateway.core.notes import Cached, CacheResult, Used
from gateway.core.outcome import Facts
from gateway.core.reply import Answered, Usage, Whole
from gateway.edge.encode import date_line, dollars, milliseconds, price_of, safe
from tests.fakes.raw_client import connect, post
from tests.fakes.service import ANSWERED, CATALOGUE, USAGE, WHOLE, open_house


@pytest.mark.parametrize(
    ("micro", "text"),
    [(0, "0.000000"), (1, "0.000001"), (1_234_567, "1.234567"), (10**12, "1000000.000000")],
)
def test_money_is_exact(micro: int, text: str) -> None:
    assert dollars(micro) == text


def test_durations_are_milliseconds() -> None:
    assert milliseconds(0.0123456) == "12.35"


def test_the_stages_note_of_the_price_wins() -> None:
    facts = Facts()
    assert price_of(facts, CATALOGUE, ANSWERED, USAGE) == 20
    facts.used = Used("small", USAGE, 7)
    assert price_of(facts, CATALOGUE, ANSWERED, USAGE) == 7
    facts.used = Used("small", USAGE, None)
    assert price_of(facts, CATALOGUE, ANSWERED, USAGE) is None


@pytest.mark.parametrize("model", ["org/large", "unheard-of", ""])
def test_without_a_price_the_cost_is_unknown(model: str) -> None:
    assert price_of(Facts(), CATALOGUE, Answered(model=model), USAGE) is None
    assert price_of(Facts(), CATALOGUE, ANSWERED, None) is None


def test_what_makes_no_sense_is_an_unknown_cost_and_not_a_free_answer() -> None:
    assert price_of(Facts(), CATALOGUE, ANSWERED, Usage(doubtful=True)) is None


@pytest.mark.parametrize(
    ("result", "told"), [("miss", "2"), ("hit-exact", None), ("hit-semantic", None)]
)
async def test_what_the_provider_had_kept_is_no_news_of_a_stored_answer(
    result: CacheResult, told: str | None
) -> None:
    async def cached(exchange: Exchange) -> Whole:
        exchange.notes.add(Cached(result))
        return WHOLE

    async with open_house(cached) as house, connect(house.port) as client:
        answer = await client.ask(post())
    assert answer.body == WHOLE.body
    assert answer.headers.get("x-turnout-prompt-cached-tokens") == told


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("gpt-4o mini", "gpt-4o mini"),
        ("a\r\nb: c", "a?b: c"),
        ("a\0b", "a?b"),
        ("modèle", "mod?le"),
        ("x" * 300, "x" * 256),
        ("", ""),
    ],
)
def test_no_value_breaks_a_header(value: str, shown: str) -> None:
    """D03."""
    assert safe(value) == shown


def test_the_date_is_the_seconds_own() -> None:
    assert date_line(1_700_000_000) == "date: Tue, 14 Nov 2023 22:13:20 GMT\r\n"
    assert date_line(1_700_000_001) == "date: Tue, 14 Nov 2023 22:13:21 GMT\r\n"
