"""The runs of docs/failover.md, shortened, keep what they promise."""

import pytest

from loadtest.failover import brownout, seed
from loadtest.failover.plot import svg


async def test_f08_a_brownout_stays_within_p4_and_is_over_when_it_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """F08: half of the answers are errors, the rest takes three times as long, at 80 % load."""
    for name, value in (("START", 20.0), ("END", 80.0), ("UNTIL", 130.0)):
        monkeypatch.setattr(brownout, name, value)
    alone = await brownout.run("one provider", naive=False)
    assert alone.excess <= 0
    assert alone.recovered <= 30
    naive = await brownout.run("one provider", naive=True)
    assert naive.excess > 100
    second = await brownout.run("and a healthy second", naive=False)
    assert second.excess <= 0
    assert second.during >= 0.9
    chart = svg(brownout.panels("one provider", alone, naive))
    assert chart.count("<g ") == 2
    assert chart.count("<path d=") > 10


async def test_a_second_that_is_too_small_carries_what_it_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first is gone, and the second has places for a third of what comes."""
    for name, value in (("START", 20.0), ("END", 80.0), ("UNTIL", 130.0)):
        monkeypatch.setattr(brownout, name, value)
    found = await brownout.run("and a second of a quarter", naive=False, kind="outage")
    assert found.excess <= 0
    assert found.during >= 0.3
    assert found.recovered <= 30


async def test_a_primary_that_collapses_is_relieved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seed, "UNTIL", 240.0)
    direct = await seed.run(["primary"], [])
    through = await seed.run(list(seed.SECONDS), seed.THROUGH)
    assert through.p50 < direct.p50 / 3
    assert through.p95 < direct.p95 / 2
    assert through.good >= 0.99
    assert through.rate > 3 * direct.rate
