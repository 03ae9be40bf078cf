"""How limits stand, as each dialect's clients read it."""

import pytest

from gateway.core.notes import Family, Limited
from gateway.core.state import Limit, Rate, Slots, Standing
from gateway.edge.limit_headers import duration, limit_lines

WALL = 1_795_000_000.0


def status(limit: int, remaining: int, reset: float) -> tuple[Rate, int]:
    used = limit - remaining
    return Rate("k", limit, used / reset), used


def limited(*pairs: tuple[Family, tuple[Rate, int]], shared: Limit | None = None) -> Limited:
    limits: list[Limit] = [limit for _, (limit, _) in pairs]
    used, told = [used for _, (_, used) in pairs], [(name, i) for i, (name, _) in enumerate(pairs)]
    if shared is not None:
        limits, used = [*limits, shared], [*used, 5]
    return Limited(Standing(tuple(limits), used, 0.0, ()), tuple(told))


NOTES = [
    limited(
        ("requests", status(60, 59, 1.0)),
        ("requests", status(1000, 12, 86_000.0)),
        ("tokens", status(10_000, 500, 360.0)),
        shared=Slots("shared", 5),
    ),
    limited(("output-tokens", status(900, 400, 0.02))),
]


def test_openais_clients_are_told_the_tightest_limit_of_requests_and_of_tokens() -> None:
    assert limit_lines(NOTES, "openai", WALL).split("\r\n") == [
        "x-ratelimit-limit-requests: 1000",
        "x-ratelimit-remaining-requests: 12",
        "x-ratelimit-reset-requests: 23h53m20s",
        "x-ratelimit-limit-tokens: 900",
        "x-ratelimit-remaining-tokens: 400",
        "x-ratelimit-reset-tokens: 20ms",
        "",
    ]


def test_anthropics_clients_are_told_of_each_kind_of_tokens() -> None:
    assert limit_lines(NOTES[1:], "anthropic", WALL).split("\r\n") == [
        "anthropic-ratelimit-output-tokens-limit: 900",
        "anthropic-ratelimit-output-tokens-remaining: 400",
        "anthropic-ratelimit-output-tokens-reset: 2026-11-18T11:06:40Z",
        "",
    ]


def test_what_others_share_or_nobody_enforces_is_told_to_nobody() -> None:
    assert limit_lines([limited(shared=Slots("shared", 5))], "openai", WALL) == ""
    assert limit_lines([], "anthropic", WALL) == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0ms"), (0.002, "2ms"), (1, "1s"), (59.6, "1m0s"), (360, "6m0s"), (3600, "1h0m0s")],
)
def test_durations_are_written_as_openai_writes_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text
