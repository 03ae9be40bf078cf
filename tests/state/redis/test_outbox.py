"""What Redis has still to be told: bounded, and each thing once."""

from gateway.core import wire
from gateway.core.state import Budget, Lease
from gateway.state.redis.outbox import Outbox
from gateway.state.redis.words import settling

LEASE = Lease("lease-1", "acme", (Budget("usd", 100, 9.0),), [5], 1.0)


def test_a_settlement_waits_until_it_is_told() -> None:
    outbox = Outbox()
    words = settling(LEASE, "", [3])
    outbox.settle("lease-1", words)
    outbox.settle("lease-1", words)
    assert list(outbox.waiting("x")) == [("lease-1", words)]
    outbox.told("lease-1")
    assert list(outbox.waiting("y")) == []


def test_what_is_owed_is_added_up_by_budget_and_told_under_one_name_for_good() -> None:
    outbox = Outbox()
    for number in range(1_000):
        outbox.owe(f"usd-{number % 2}", number, 9.0)
    first = list(outbox.waiting("x"))
    assert list(outbox.waiting("y")) == first
    ((name, words),) = first
    used = wire.decode(words[4] if isinstance(words[4], bytes) else b"")
    assert (name, used) == ("owed-x", [249_500, 250_000])


def test_a_store_that_is_rebuilt_needs_to_be_told_nothing() -> None:
    outbox = Outbox()
    outbox.settle("lease-1", settling(LEASE, "", [3]))
    outbox.owe("usd", 1, 9.0)
    outbox.clear()
    assert list(outbox.waiting("x")) == []
