"""Deficit round robin: nobody is lost, served twice, or kept waiting by somebody else's crowd."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.exchange import Priority
from gateway.core.fair_order import QUANTUM, WEIGHTS, Entry, FairOrder

TENANTS = st.sampled_from("abcde")
PRIORITIES = st.sampled_from(sorted(WEIGHTS))
COSTS = st.integers(1, 20_000)
ENTRIES = st.lists(st.tuples(TENANTS, PRIORITIES, COSTS), max_size=60)


def order_of(*entries: Entry) -> FairOrder:
    order = FairOrder()
    for entry in entries:
        order.add(entry)
    return order


def drained(order: FairOrder, most: int = 1_000_000) -> list[Entry]:
    taken: list[Entry] = []
    while len(taken) < most and (entry := order.take()) is not None:
        taken.append(entry)
    return taken


def drained_copy(order: FairOrder) -> list[Entry]:
    held = drained(order)
    for entry in held:
        order.add(entry)
    return held


def crowd(tenant: str, count: int, cost: int = 100, priority: Priority = "normal") -> list[Entry]:
    return [Entry(tenant, priority, cost) for _ in range(count)]


@given(ENTRIES, st.data())
def test_nobody_is_lost_or_served_twice_also_when_some_leave(
    entries: list[tuple[str, Priority, int]], data: st.DataObject
) -> None:
    order, waiting, taken = FairOrder(), list[Entry](), list[Entry]()
    for facts in entries:
        entry = Entry(*facts)
        order.add(entry)
        waiting.append(entry)
        step = data.draw(st.sampled_from(("stay", "stay", "take", "drop")))
        if step == "take" and (first := order.take()) is not None:
            waiting.remove(first)
            taken.append(first)
        elif step == "drop":
            gone = waiting.pop(data.draw(st.integers(0, len(waiting) - 1)))
            order.drop(gone)
        assert len(order) == len(waiting)
    rest = drained(order)
    assert sorted(map(id, rest)) == sorted(map(id, waiting))
    assert len(order) == 0
    assert order.take() is None


@given(ENTRIES)
def test_a_tenants_own_entries_keep_their_order_within_a_class(
    entries: list[tuple[str, Priority, int]],
) -> None:
    taken = drained(order_of(*(Entry(*facts) for facts in entries)))
    for line in {(e.tenant, e.priority) for e in taken}:
        numbers = [e.number for e in taken if (e.tenant, e.priority) == line]
        assert all(first < second for first, second in pairwise(numbers))


@given(st.lists(COSTS, min_size=5, max_size=60), st.lists(COSTS, min_size=5, max_size=60))
def test_two_tenants_who_both_wait_never_differ_by_more_than_the_bound(
    first: list[int], second: list[int]
) -> None:
    """Shreedhar & Varghese: a quantum and the dearest request of each."""
    order = order_of(
        *(Entry("a", "low", c) for c in first), *(Entry("b", "low", c) for c in second)
    )
    left, sent = Counter(a=len(first), b=len(second)), Counter[str]()
    bound = QUANTUM + max(first) + max(second)
    while left["a"] and left["b"]:
        entry = order.take()
        assert entry is not None
        left[entry.tenant] -= 1
        sent[entry.tenant] += entry.cost
        assert abs(sent["a"] - sent["b"]) <= bound


def test_a_crowd_of_one_tenant_delays_another_by_one_turn() -> None:
    taken = drained(order_of(*crowd("noisy", 500), *crowd("quiet", 3)))
    places = [place for place, entry in enumerate(taken) if entry.tenant == "quiet"]
    assert places == [1, 3, 5]


def test_short_questions_go_in_turn_too() -> None:
    """What they take is a place each: by tokens alone fifty of 5 tokens would go in one turn."""
    taken = drained(order_of(*crowd("noisy", 500, 5), *crowd("quiet", 3, 5)))
    assert [place for place, entry in enumerate(taken) if entry.tenant == "quiet"] == [1, 3, 5]


def test_large_requests_wait_for_as_many_tokens_as_small_ones() -> None:
    taken = drained(order_of(*crowd("large", 5, 100_000), *crowd("small", 5_000, 100)))
    before = [
        sum(e.cost for e in taken[:place] if e.tenant == "small") for place in range(len(taken))
    ]
    waits = [before[place] for place, entry in enumerate(taken) if entry.tenant == "large"]
    for nth, wait in enumerate(waits[:4], 1):
        assert abs(wait - nth * 100_000) <= QUANTUM + 100


def test_classes_that_all_wait_share_16_to_4_to_1() -> None:
    order = order_of(
        *crowd("l", 2_000, priority="low"),
        *crowd("n", 2_000, priority="normal"),
        *crowd("h", 2_000, priority="high"),
    )
    shares = Counter(entry.priority for entry in drained(order, 2_100))
    assert shares["high"] == pytest.approx(1_600, abs=11)
    assert shares["normal"] == pytest.approx(400, abs=4)
    assert shares["low"] == pytest.approx(100, abs=2)


def test_what_a_class_does_not_need_the_others_get() -> None:
    order = order_of(*crowd("l", 50, priority="low"), *crowd("h", 2, priority="high"))
    assert [e.priority for e in drained(order, 4)].count("high") == 2
    assert len(drained(order)) == 48


def test_a_tenant_that_comes_back_gets_no_credit_for_the_time_away() -> None:
    order = order_of(*crowd("a", 1), *crowd("b", 50))
    drained(order, 40)
    for entry in crowd("a", 20):
        order.add(entry)
    assert Counter(e.tenant for e in drained(order, 10))["a"] <= 5


@given(ENTRIES.filter(bool), TENANTS, PRIORITIES, COSTS)
def test_the_lowest_class_over_its_part_and_in_it_the_heaviest_tenant_makes_room(
    entries: list[tuple[str, Priority, int]], tenant: str, priority: Priority, cost: int
) -> None:
    held = [Entry(*facts) for facts in entries]
    newcomer = Entry(tenant, priority, cost)
    everybody = [*held, newcomer]
    victim = order_of(*held).victim(newcomer) or newcomer
    counts = Counter(entry.priority for entry in everybody)
    over = [n for n in WEIGHTS if counts[n] * sum(WEIGHTS.values()) > len(everybody) * WEIGHTS[n]]
    assert victim.priority == (over[0] if over else priority)
    weights = Counter[str]()
    for entry in everybody:
        if entry.priority == victim.priority:
            weights[entry.tenant] += entry.cost
    assert weights[victim.tenant] == max(weights.values())
    line = [e for e in held if (e.tenant, e.priority) == (victim.tenant, victim.priority)]
    assert victim is newcomer or victim is line[-1]


def test_a_crowd_of_high_leaves_the_others_their_part_of_the_room() -> None:
    order = order_of(*crowd("h", 42, priority="high"))
    parts: dict[Priority, int] = {"low": 2, "normal": 8}
    for priority, part in parts.items():
        for _ in range(20):
            newcomer = Entry(priority, priority, 100)
            victim = order.victim(newcomer)
            if victim is not None:
                order.drop(victim)
                order.add(newcomer)
        held = drained_copy(order)
        assert sum(entry.priority == priority for entry in held) == part


def test_how_many_go_before_a_newcomer_is_known_beforehand() -> None:
    for priority in ("high", "normal", "low"):
        held = [
            *crowd("noisy", 200),
            *crowd("other", 20),
            *crowd("big", 3, 5_000),
            *crowd("vip", 30, priority="high"),
            *crowd("job", 100, priority="low"),
        ]
        order, newcomer = order_of(*held), Entry("new", priority, 300)
        expected = order.ahead(newcomer)
        order.add(newcomer)
        place = drained(order).index(newcomer)
        assert abs(expected - place) <= max(8, 0.35 * place), (priority, expected, place)
