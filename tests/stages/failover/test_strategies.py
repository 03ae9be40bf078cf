"""Who is first, by strategy."""

from collections import Counter
from typing import Any

import pytest

from gateway.stages.failover.strategies import beginning
from tests.fakes.failover import House, breaks
from tests.fakes.relay import read

TWO = ({"model": "one"}, {"model": "two"})


async def served(house: House, count: int = 400, **more: Any) -> Counter[str]:
    return Counter([await house.served_by(f"prompt {n}", **more) for n in range(count)])


async def test_weights_share_the_requests_out() -> None:
    house = House({"model": "one", "weight": 3}, {"model": "two"}, strategy="weighted")
    shares = await served(house)
    assert shares["a"] == pytest.approx(300, abs=40)
    assert house.route == "weighted"


async def test_the_fastest_gets_most_and_the_slow_one_is_looked_at_again() -> None:
    house = House(*TWO, strategy="fastest")
    house.a.takes, house.b.takes = 4.0, 0.5
    shares = await served(house, 100)
    assert 1 <= shares["a"] <= 15
    house.a.takes, house.b.takes = 0.5, 4.0
    later = await served(house, 300)
    assert later["a"] > 200


async def test_the_fastest_is_not_whom_everybody_waits_for() -> None:
    house = House(*TWO, strategy="fastest")
    house.a.takes, house.b.takes = 1.0, 1.5
    await served(house, 20)
    house.condition("a", "one").outstanding = 10
    assert await house.served_by() == "b"


async def test_history_orders_the_targets() -> None:
    house = House(*TWO, strategy="reliable")
    turns = [0]

    def often(call: Any) -> Any:
        turns[0] += 1
        return breaks()(call) if turns[0] % 3 == 0 else None

    house.a.does = often
    for turn in range(120):
        house.clock.now += 5
        await house.ask(f"prompt {turn}")
    assert await served(house, 30) == {"b": 30}


async def test_the_cheapest_is_first_and_an_unknown_price_last() -> None:
    house = House({"model": "three"}, {"model": "one"}, {"model": "two"}, strategy="cheapest")
    assert await house.served_by() == "b"
    house.b.does = house.a.does = breaks()
    assert await house.served_by() == "c"
    assert house.asked == ["b", "a", "c"]


async def test_the_least_busy_is_first_by_its_weight() -> None:
    house = House({"model": "one", "weight": 4}, {"model": "two"}, strategy="balanced")
    house.condition("a", "one").outstanding = 3
    house.condition("b", "two").outstanding = 1
    assert await house.served_by() == "a"
    house.condition("a", "one").outstanding = 5
    assert await house.served_by() == "b"


async def test_a_stream_is_work_under_way_until_its_end() -> None:
    house = House(*TWO, strategy="balanced")
    stream = await house.stream()
    busy, idle = stream.answered.provider, {"a": "b", "b": "a"}[stream.answered.provider]
    assert {await house.served_by(str(n)) for n in range(20)} == {idle}
    await read(stream)
    assert house.condition(busy, {"a": "one", "b": "two"}[busy]).outstanding == 0


@pytest.mark.parametrize("name", ["weighted", "balanced"])
async def test_a_conversation_stays_where_it_began(name: str) -> None:
    house = House(*TWO, strategy=name, sticky=True)
    homes: Counter[str] = Counter()
    for talk in range(60):
        turns = [{"role": "system", "content": "be brief"}, {"role": "user", "content": str(talk)}]
        home = await house.served_by(messages=turns)
        homes[home] += 1
        for turn in range(3):
            turns += [
                {"role": "assistant", "content": "ok"},
                {"role": "user", "content": str(turn)},
            ]
            assert await house.served_by(messages=turns) == home
    assert homes["a"] == pytest.approx(30, abs=15)


async def test_a_conversation_leaves_a_target_that_is_crowded_or_down() -> None:
    house = House(*TWO, strategy="balanced", sticky=True)
    home = await house.served_by("hello")
    other = {"a": "b", "b": "a"}[home]
    condition = house.condition(home, {"a": "one", "b": "two"}[home])
    condition.outstanding = 10
    assert await house.served_by("hello") == other
    condition.outstanding = 0
    condition.breaker.trip(house.clock.now)
    assert await house.served_by("hello") == other


def test_a_conversation_is_known_by_all_up_to_its_first_user_message() -> None:
    first = {"role": "user", "content": "hi"}
    start = beginning({"messages": [first]})
    assert beginning({"messages": [first, {"role": "assistant", "content": "yo"}]}) == start
    assert beginning({"messages": [{"role": "user", "content": "ho"}]}) != start
    assert beginning({"messages": [first], "system": "be brief"}) != start
    assert beginning({"prompt": "hi"}) != beginning({"prompt": "ho"})
    stray = {
        "prompt": "hi",
        "messages": [1, None, first],
    }  # of which nobody has looked at the shape
    assert beginning(stray) != beginning({"prompt": "hi"})
