"""What a line says is read from what a request leaves behind."""

from gateway.core.notes import Attempted, Cached
from gateway.core.outcome import Facts
from gateway.core.traffic import CacheSaid, Tried, cache_said, ms, tried


def test_tries_are_told_with_their_milliseconds() -> None:
    attempt = Attempted("acme", "fast", 10.0, 10.25, code="upstream_dns", status=502)
    assert tried([attempt]) == [Tried("acme", "fast", "upstream_dns", 502, 250.0)]


def test_what_the_cache_did_is_told_where_there_is_one() -> None:
    assert cache_said(Facts()) is None
    hit = Cached("hit-exact", "stale", 3.0, "ans-1")
    assert cache_said(Facts(cached=hit)) == CacheSaid("hit-exact", "stale", "ans-1")


def test_milliseconds_are_exact_to_the_microsecond() -> None:
    assert ms(0.0012345678) == 1.235
