"""The stage in its pipeline."""

import msgspec
import pytest

from gateway.core.errors import UpstreamBroken
from gateway.core.stage import compose
from gateway.stages import AnyStage
from gateway.stages.failover.policy import FailoverPolicy
from gateway.stages.relay import RelayPolicy
from tests.fakes.failover import House, breaks
from tests.fakes.relay import nowhere


def test_it_goes_before_the_relay_and_answers_nothing_itself() -> None:
    policy = msgspec.convert({"stage": "failover", "targets": [{"model": "one"}]}, AnyStage)
    assert isinstance(policy, FailoverPolicy)
    assert not policy.answers


async def test_what_was_learnt_outlives_a_reload() -> None:
    house = House({"model": "one"}, {"model": "two"})
    house.a.does = breaks()
    for turn in range(25):
        house.clock.now += 0.4
        await house.ask(f"prompt {turn}")
    again = House({"model": "one"}, {"model": "two"})
    again.health = house.health
    assert isinstance(again.policy, FailoverPolicy)
    stage = again.policy.build(msgspec.structs.replace(again.tools, health=house.health))
    again.clock.now = house.clock.now
    exchange = again.exchange()

    async def proceed(_exchange: object) -> object:
        raise UpstreamBroken("whoever is asked")

    with pytest.raises(UpstreamBroken):
        await stage(exchange, proceed)  # type: ignore[arg-type]
    assert again.route.startswith("failover: a is left alone")


async def test_what_one_stage_has_sent_to_a_target_another_one_lets_pass() -> None:
    house = House({"model": "one"}, {"model": "two"}, {"model": "three"})
    for actor in house.actors.values():
        actor.does = breaks()
    first, second = house.policy.build(house.tools), house.policy.build(house.tools)
    house.chain = compose([first, second, RelayPolicy().build(house.tools)], nowhere)
    await house.failure()
    assert house.asked == ["a", "b", "c"]
