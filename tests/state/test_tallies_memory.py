"""Counts of one process take no more room than their parts."""

from gateway.core.tallies import KEPT
from gateway.state.tallies import Added, Batch, Wanted
from gateway.state.tallies_memory import in_memory


async def test_parts_that_are_over_are_dropped_though_nobody_asked_for_them() -> None:
    exchange = in_memory()
    for part in range(2 * KEPT):
        await exchange(Batch(part, [Added("a", part, {1: 1})], {}), Wanted(part, {}, ()))
    found = await exchange(Batch(0, (), {}), Wanted(KEPT, {"a": 1 << 40}, ()))
    assert found.sums == {"a": {1: 1}}, "all but part KEPT, which alone is asked for, are gone"
