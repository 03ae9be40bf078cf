"""Trial time moves only when it is told to."""

import asyncio

from gateway.trial.clock import TrialClock


async def test_it_moves_from_one_due_thing_to_the_next() -> None:
    clock = TrialClock(1_000.0)
    rung: list[str] = []
    clock.after(5, lambda: rung.append("late"))
    clock.after(2, lambda: rung.append("never")).cancel()
    clock.after(1, lambda: rung.append("early"))
    clock.move_on()
    assert (rung, clock.monotonic(), clock.wall()) == (["early"], 1.0, 1_001.0)
    clock.move_on()
    clock.move_on()
    assert (rung, clock.monotonic()) == (["early", "late"], 5.0)


async def test_a_sleeper_wakes_when_its_time_has_come() -> None:
    clock = TrialClock(0.0)
    sleeper = asyncio.get_running_loop().create_task(clock.sleep(60))
    await asyncio.sleep(0)
    assert not sleeper.done()
    clock.move_on()
    await sleeper
    assert clock.monotonic() == 60
