"""What every store promises about limits: exactly the limit is let in, and all of it is charged."""

import asyncio
from math import inf
from random import Random

import pytest

from gateway.core.state import GRACE, MAX_AMOUNT, SOON, Admitted
from tests.fakes.stores import Counted, Store, rate, slots, statuses

USD = "acme/usd/2026-11"


async def test_c01_200_at_once_on_a_budget_for_10_admit_exactly_10(store: Store) -> None:
    decisions = await asyncio.gather(
        *(store.reserve(f"r{number}", store.budget(1000, 100)) for number in range(200))
    )
    assert sum(isinstance(decision, Admitted) for decision in decisions) == 10
    assert await store.counted(USD) == Counted(spent=0, held=1000)


async def test_c05_the_first_users_of_a_new_key_meet_its_limit_together(store: Store) -> None:
    decisions = await asyncio.gather(
        *(store.reserve(f"r{number}", slots(3), rate(5)) for number in range(8))
    )
    assert sum(isinstance(decision, Admitted) for decision in decisions) == 3


async def test_several_limits_are_taken_together_or_not_at_all(store: Store) -> None:
    await store.admit("first", slots(9), rate(9), store.budget(50, 50))
    refused = await store.refuse("second", slots(9), rate(9), store.budget(50, 1))
    assert refused.key == USD
    third = await store.admit("third", slots(9), rate(9))
    assert [limit.remaining for limit in statuses(third)] == [7, 7]


async def test_the_limit_that_binds_longest_is_the_one_that_is_named(store: Store) -> None:
    limits = (slots(1), rate(1, period=10), store.budget(1))
    await store.admit("first", *limits)
    refused = await store.refuse("second", *limits)
    assert refused.key == "acme/requests"
    assert refused.retry_after == pytest.approx(10, abs=0.5)
    assert list(refused.exceeded) == [0, 1, 2]


async def test_a_rate_lets_its_burst_in_and_then_one_each_interval(store: Store) -> None:
    for number in range(3):
        await store.admit(f"r{number}", rate(6, burst=3))
    refused = await store.refuse("r3", rate(6, burst=3))
    assert refused.retry_after == pytest.approx(10, abs=0.5)
    await store.age(9)
    await store.refuse("r4", rate(6, burst=3))
    await store.age(1)
    status = statuses(await store.admit("r5", rate(6, burst=3)))[0]
    assert (status.remaining, status.limit) == (0, 3)
    assert status.reset == pytest.approx(30, abs=0.5)


async def test_a_rate_whose_interval_is_no_whole_number_lets_its_whole_burst_in(
    store: Store,
) -> None:
    for number in range(7):
        await store.admit(f"r{number}", rate(7))
    await store.refuse("r7", rate(7))


async def test_c11_a_burst_at_the_edge_of_a_window_does_not_count_twice(store: Store) -> None:
    await store.age(59.9)
    admitted = 0
    for turn in range(2):
        for number in range(20):
            decision = await store.reserve(f"{turn}-{number}", rate(10))
            admitted += isinstance(decision, Admitted)
        await store.age(0.2)
    assert admitted == 10


async def test_tokens_of_one_request_may_be_many_units_of_a_rate(store: Store) -> None:
    tokens = rate(1000, 600)
    await store.admit("first", tokens)
    refused = await store.refuse("second", tokens)
    assert refused.retry_after == pytest.approx(12, abs=0.5)
    await store.age(12)
    await store.admit("third", tokens)


async def test_an_amount_beyond_the_whole_limit_can_never_pass(store: Store) -> None:
    for limit in (rate(10, 11), store.budget(10, 11), slots(10, 11)):
        refused = await store.refuse("r", limit)
        assert refused.retry_after == inf


async def test_a_spent_budget_refuses_until_its_window_is_over(store: Store) -> None:
    lease = (await store.admit("first", store.budget(100, 60))).lease
    store.settle(lease, {})
    refused = await store.refuse("second", store.budget(100, 60))
    assert refused.retry_after == pytest.approx(3600, abs=2)
    assert statuses(refused)[0].remaining == 40


async def test_a_budget_that_is_only_held_may_be_free_again_soon(store: Store) -> None:
    await store.admit("first", store.budget(100, 60))
    refused = await store.refuse("second", store.budget(100, 60))
    assert refused.retry_after == SOON


async def test_slots_are_free_again_when_a_request_ends(store: Store) -> None:
    first = await store.admit("first", slots(2))
    second = await store.admit("second", slots(2))
    refused = await store.refuse("third", slots(2))
    assert (refused.key, refused.retry_after) == ("acme/slots", SOON)
    store.settle(first.lease, {})
    store.state.limiter.release(second.lease)
    assert statuses(await store.admit("fourth", slots(2)))[0].remaining == 1


async def test_every_limit_says_how_it_stands_in_the_order_of_the_request(store: Store) -> None:
    admitted = await store.admit("r", store.budget(100, 30), rate(60, 15), slots(4))
    budget, tokens, concurrent = statuses(admitted)
    assert (budget.remaining, budget.limit) == (70, 100)
    assert budget.reset == pytest.approx(3600, abs=2)
    assert (tokens.remaining, tokens.limit) == (45, 60)
    assert tokens.reset == pytest.approx(15, abs=0.1)
    assert concurrent == (4, 3, 0.0)


async def test_what_was_not_used_is_given_back(store: Store) -> None:
    lease = (await store.admit("r", store.budget(100, 80), rate(100, 80))).lease
    store.settle(lease, {USD: 5, "acme/requests": 30})
    assert await store.counted(USD) == Counted(spent=5)
    after = await store.admit("peek", store.budget(100, 0), rate(100, 0))
    assert [limit.remaining for limit in statuses(after)] == [95, 70]


async def test_what_was_used_beyond_the_reservation_is_charged(store: Store) -> None:
    lease = (await store.admit("r", store.budget(100, 80), rate(100, 80))).lease
    store.settle(lease, {USD: 130, "acme/requests": 160})
    assert await store.counted(USD) == Counted(spent=130)
    refused = await store.refuse("next", store.budget(100, 1), rate(100, 1))
    assert [limit.remaining for limit in statuses(refused)] == [0, 0]
    await store.age(60 * 0.62)
    await store.admit("later", rate(100, 1))


async def test_a_limit_that_is_not_named_is_charged_as_reserved(store: Store) -> None:
    lease = (await store.admit("r", store.budget(100, 80), slots(1))).lease
    store.settle(lease, {"another/limit": 7})
    assert await store.counted(USD) == Counted(spent=80)
    assert await store.counted("acme/slots") == Counted()


async def test_c04_a_lease_is_settled_once_however_often_it_is_asked_for(store: Store) -> None:
    lease = (await store.admit("r", store.budget(100, 80))).lease
    other = (await store.admit("s", store.budget(100, 10))).lease
    for amount in (30, 30, 70):
        store.settle(lease, {USD: amount})
    store.state.limiter.release(lease)
    store.lower(lease, {USD: 1})
    assert await store.counted(USD) == Counted(spent=30, held=10)
    store.state.limiter.release(other)
    store.settle(other, {USD: 10})
    assert await store.counted(USD) == Counted(spent=30)


async def test_a_request_that_never_left_pays_nothing(store: Store) -> None:
    lease = (await store.admit("r", store.budget(100, 80), rate(100, 80), slots(1))).lease
    store.state.limiter.release(lease)
    after = await store.admit("peek", store.budget(100, 0), rate(100, 0), slots(1, 0))
    assert [limit.remaining for limit in statuses(after)] == [100, 100, 1]


async def test_what_was_reserved_for_somebody_who_left_meanwhile_is_given_back(
    store: Store,
) -> None:
    asking = [asyncio.ensure_future(store.reserve(f"r{n}", store.budget(100, 5))) for n in range(9)]
    await asyncio.sleep(0)
    for task in asking:
        task.cancel()
    for decision in await asyncio.gather(*asking, return_exceptions=True):
        if isinstance(decision, Admitted):  # it was decided before anybody could leave
            store.state.limiter.release(decision.lease)
    assert await store.counted(USD) == Counted()


async def test_a_lease_is_lowered_when_the_route_is_known_and_never_raised(store: Store) -> None:
    lease = (await store.admit("r", store.budget(100, 80), rate(100, 80), slots(2, 2))).lease
    store.lower(lease, {USD: 20, "acme/requests": 50, "acme/slots": 1})
    store.lower(lease, {USD: 90})
    assert await store.counted(USD) == Counted(held=20)
    after = await store.admit("peek", rate(100, 0), slots(2, 0))
    assert [limit.remaining for limit in statuses(after)] == [50, 1]
    store.state.limiter.settle(lease, None)
    assert await store.counted(USD) == Counted(spent=20)
    assert await store.counted("acme/slots") == Counted()


async def test_c03_an_expired_lease_is_charged_in_full_and_its_slot_is_free(store: Store) -> None:
    lease = (await store.admit("r", store.budget(100, 80), rate(100, 80), slots(1))).lease
    assert lease.expires == pytest.approx(store.now() + 60 + GRACE, abs=2)
    await store.age(60 + GRACE - 3)
    await store.sweep()
    assert await store.counted(USD) == Counted(held=80)
    await store.age(4)
    await store.sweep()
    assert await store.counted(USD) == Counted(spent=80)
    assert await store.counted("acme/slots") == Counted()


@pytest.mark.parametrize(("used", "spent"), [(30, 30), (80, 80), (95, 95), (0, 0)])
async def test_c04_a_settlement_after_expiry_charges_the_difference(
    store: Store, used: int, spent: int
) -> None:
    lease = (await store.admit("r", store.budget(100, 80), slots(1))).lease
    await store.age(60 + GRACE + 1)
    await store.sweep()
    for _ in range(2):
        store.settle(lease, {USD: used})
    assert await store.counted(USD) == Counted(spent=spent)
    assert await store.counted("acme/slots") == Counted()


async def test_a_lease_that_expired_and_turns_out_unused_is_refunded(store: Store) -> None:
    lease = (await store.admit("r", store.budget(100, 80))).lease
    await store.age(60 + GRACE + 1)
    await store.sweep()
    store.state.limiter.release(lease)
    assert await store.counted(USD) == Counted()


async def test_an_expired_lease_is_forgotten_after_a_day_and_stays_charged(store: Store) -> None:
    budget = store.budget(100, 80)
    lease = (await store.admit("r", budget)).lease
    await store.age(60 + GRACE + 1)
    await store.sweep()
    await store.age(86_401)
    await store.sweep()
    store.settle(lease, {USD: 5})
    assert await store.counted(USD) == Counted(spent=80)


async def test_a_budget_is_dropped_a_day_after_its_window_and_a_new_window_starts_at_0(
    store: Store,
) -> None:
    lease = (await store.admit("r", store.budget(100, 80))).lease
    store.settle(lease, {})
    await store.age(3600 + 80_000)
    await store.sweep()
    assert await store.counted(USD) == Counted(spent=80)
    next_window = await store.admit("s", store.budget(100, 1, key="acme/usd/2026-12"))
    assert statuses(next_window)[0].remaining == 99
    await store.age(86_400)
    await store.sweep()
    assert await store.counted(USD) == Counted()


async def test_a_limit_that_is_only_observed_never_refuses(store: Store) -> None:
    limits = (
        rate(2, enforce=False),
        store.budget(2, enforce=False),
        slots(2, enforce=False),
    )
    over = [list((await store.admit(f"r{n}", *limits)).exceeded) for n in range(4)]
    assert over == [[], [], [0, 1, 2], [0, 1, 2]]
    assert await store.counted(USD) == Counted(held=4)
    assert await store.counted("acme/slots") == Counted(held=4)


async def test_an_observed_rate_tells_what_enforcing_it_would_have_let_in(store: Store) -> None:
    would_pass = 0
    for number in range(30):
        admitted = await store.admit(f"r{number}", rate(6, burst=2, enforce=False))
        would_pass += not admitted.exceeded
        store.settle(admitted.lease, {"acme/requests": 1})
        await store.age(5)
    assert would_pass == pytest.approx(2 + 29 * 5 / 10, abs=1)


async def test_an_enforced_limit_refuses_beside_an_observed_one(store: Store) -> None:
    limits = (rate(1, enforce=False), slots(2))
    await store.admit("a", *limits)
    await store.admit("b", *limits)
    refused = await store.refuse("c", *limits)
    assert refused.key == "acme/slots"
    assert await store.counted("acme/slots") == Counted(held=2)


async def test_h04_a_lower_limit_lets_nobody_in_until_enough_have_ended(store: Store) -> None:
    leases = [(await store.admit(f"r{n}", slots(10))).lease for n in range(8)]
    for number, lease in enumerate(leases[:3]):
        await store.refuse(f"s{number}", slots(5))
        store.settle(lease, {})
    await store.refuse("t", slots(5))
    store.settle(leases[3], {})
    await store.admit("u", slots(5))


@pytest.mark.parametrize("step", [-3600.0, 86_400.0])
async def test_c10_a_step_of_the_wall_clock_opens_no_window_and_locks_nobody_out(
    store: Store, step: float
) -> None:
    before = store.now()
    lease = (await store.admit("r", rate(2), store.budget(10, 5))).lease
    await store.admit("s", rate(2))
    store.clock.stepped = step
    assert store.now() == pytest.approx(before, abs=2)
    refused = await store.refuse("t", rate(2))
    assert refused.retry_after == pytest.approx(30, abs=1)
    await store.sweep()
    assert await store.counted(USD) == Counted(held=5)
    await store.age(30)
    await store.admit("u", rate(2))
    store.settle(lease, {})
    assert await store.counted(USD) == Counted(spent=5)


@pytest.mark.parametrize(("used", "charged"), [(-5, 0), (0, 0), (2**63, MAX_AMOUNT)])
async def test_c12_usage_that_makes_no_sense_never_lowers_what_is_spent(
    store: Store, used: int, charged: int
) -> None:
    lease = (await store.admit("r", store.budget(100, 80), rate(100, 80))).lease
    store.settle(lease, {USD: used, "acme/requests": used})
    assert await store.counted(USD) == Counted(spent=charged)


async def test_c15_the_sum_of_many_odd_amounts_is_exact(store: Store) -> None:
    chance = Random(15)
    amounts = [chance.randrange(10**12) for _ in range(300)]
    for number, amount in enumerate(amounts):
        lease = (await store.admit(f"r{number}", store.budget(10**15, 10**12))).lease
        store.settle(lease, {USD: amount})
    assert await store.counted(USD) == Counted(spent=sum(amounts))
