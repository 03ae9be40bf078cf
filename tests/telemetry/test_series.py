from itertools import pairwise
from math import inf

from gateway.core.notes import Used
from gateway.core.reply import Usage
from gateway.telemetry.series import TOKENS, Histogram, Series
from tests.telemetry.outcomes import make_outcome


def test_bucket_counts_are_cumulative_and_end_with_all() -> None:
    series = Series()
    for seconds in (0.005, 0.01, 0.3, 9_999.0):
        outcome = make_outcome(started=0.0, ended=seconds)
        series.measure(outcome, outcome.facts)
    buckets = {float(bound): count for bound, count in series.duration.buckets()}
    assert (buckets[0.01], buckets[0.02], buckets[0.32], buckets[655.36]) == (2, 2, 3, 3)
    assert buckets[inf] == 4
    assert all(low <= high for low, high in pairwise(buckets.values()))


def test_bounds_are_written_as_floats_also_where_tokens_are_counted() -> None:
    tokens = Histogram(TOKENS)
    tokens.observe(4)
    assert tokens.buckets()[:3] == [("1.0", 0.0), ("4.0", 1.0), ("16.0", 1.0)]


def test_what_was_used_without_a_price_is_counted_as_such_and_never_as_free() -> None:
    series = Series()
    for price in (None, 40):
        outcome = make_outcome(Used("gpt", Usage(57, 31, 7, 5, 3), price))
        series.measure(outcome, outcome.facts)
    assert (series.unpriced, series.micro_dollars) == (1, 40)
    assert (series.cached, series.cache_write, series.reasoning) == (14, 10, 6)
    assert (series.tokens_in.total, series.tokens_out.total) == (114, 62)
