"""Patterns of policies: bounded, whoever writes the text that they meet."""

import re

import pytest

from gateway.stages.complexity_router.features.asking import MOST_CHARS
from gateway.stages.complexity_router.regex import bounded


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?i)\blegal (?:opinion|advice)\b",
        r"sign.{0,30}contract",
        r"from .* to",
        r"(?:ab)+c",
        r"[a-z]+@example\.com",
        r"(?P<name>x|yy)z?",
        "",
    ],
)
def test_what_is_bounded_is_taken(pattern: str) -> None:
    assert bounded(pattern) == re.compile(pattern)


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        ("(a+)+b", "this repeats what may itself match in several ways."),
        ("(a|ab)*c", "this repeats what may itself match in several ways."),
        (".*a.*b", "this may match in 4,008,004 ways at each character"),
        ("a?" * 30 + "b", "this may match in 1,073,741,824 ways"),
        (r"(a)\1", "look-arounds and references back are not read here."),
        ("(?=.*a)b", "look-arounds and references back are not read here."),
        ("(", "this is no regular expression: missing )"),
        ("a" * 501, "this is longer than 500 characters."),
    ],
)
def test_what_is_not_is_refused_with_the_cause(pattern: str, what: str) -> None:
    with pytest.raises(ValueError, match=re.escape(what)):
        bounded(pattern)


def test_the_dearest_pattern_that_is_taken_ends_on_the_text_that_is_worst_for_it() -> None:
    pattern = bounded("a.*b")
    assert pattern.search("a" * MOST_CHARS) is None
