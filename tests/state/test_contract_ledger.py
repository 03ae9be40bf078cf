"""What every store promises about the ledger."""

from random import Random

from gateway.core.state import AttemptRow, RequestRow, Sums
from tests.fakes.stores import Store


def request(
    number: int, tenant: str = "acme", at: float = 100.0, cost: int | None = 7
) -> RequestRow:
    return RequestRow(
        id=f"req-{number}",
        at=at,
        tenant=tenant,
        key="",
        policy="default",
        endpoint="/v1/chat/completions",
        model="fast",
        status=200,
        input=10,
        output=3,
        micro_dollars=cost,
        counted="provider",
    )


def attempt(number: int) -> AttemptRow:
    return AttemptRow(
        request="req-1", number=number, at=1, tenant="acme", provider="p", model="m", status=200
    )


async def test_requests_add_up_by_tenant(store: Store) -> None:
    ledger = store.state.ledger
    ledger.record([attempt(1), attempt(2), request(1)])
    ledger.record([request(2), request(3, "other", cost=None)])
    await ledger.flush()
    assert await ledger.sums(0) == {
        "acme": Sums(requests=2, input=20, output=6, micro_dollars=14),
        "other": Sums(requests=1, input=10, output=3, unpriced=1),
    }


async def test_a_row_counts_once_however_often_it_is_recorded(store: Store) -> None:
    for _ in range(3):
        store.state.ledger.record([attempt(1), request(1)])
    await store.state.ledger.flush()
    assert (await store.state.ledger.sums(0))["acme"].requests == 1


async def test_only_what_ended_since_then_adds_up(store: Store) -> None:
    store.state.ledger.record([request(n, at=float(n)) for n in range(10)])
    await store.state.ledger.flush()
    assert (await store.state.ledger.sums(7.0))["acme"].requests == 3
    assert await store.state.ledger.sums(10.0) == {}


async def test_c15_micro_dollars_add_up_exactly(store: Store) -> None:
    chance = Random(15)
    costs = [chance.randrange(10**13) for _ in range(2_000)]
    store.state.ledger.record([request(n, cost=cost) for n, cost in enumerate(costs)])
    await store.state.ledger.flush()
    assert (await store.state.ledger.sums(0))["acme"].micro_dollars == sum(costs)
