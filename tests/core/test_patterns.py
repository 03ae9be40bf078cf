"""Patterns: plain names, and `*` for any text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.patterns import matcher


@pytest.mark.parametrize(
    ("pattern", "fits", "fits_not"),
    [
        ("gpt-4o", ["gpt-4o"], ["gpt-4o-mini", "GPT-4o", " gpt-4o", ""]),
        ("gpt-*", ["gpt-", "gpt-4o"], ["xgpt-", "gpt"]),
        ("*", ["", "anything"], []),
        ("a*a", ["aa", "aba"], ["a", "ab"]),
        ("*b*", ["b", "abc"], ["ac"]),
        ("a.c", ["a.c"], ["abc"]),
    ],
)
def test_a_star_is_any_text_and_all_else_is_itself(
    pattern: str, fits: list[str], fits_not: list[str]
) -> None:
    matches = matcher([pattern])
    assert [text for text in (*fits, *fits_not) if matches(text)] == fits


def test_one_of_several_is_enough() -> None:
    matches = matcher(["a", "b*"])
    assert [text for text in ("a", "b", "bc", "c") if matches(text)] == ["a", "b", "bc"]


@given(st.text("ab*", max_size=8), st.text("ab", max_size=12))
def test_it_agrees_with_a_regular_expression(pattern: str, text: str) -> None:
    slow = re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)
    assert matcher([pattern])(text) is bool(slow.fullmatch(text))


def test_a_hostile_text_takes_no_longer_than_its_length() -> None:
    assert not matcher(["*a*a*a*a*a*a*b"])("a" * 1_000_000)
