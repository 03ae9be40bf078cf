"""The connection's one alarm clock."""

from gateway.edge.alarm import Alarm
from tests.fakes.clock import FakeClock


async def test_it_rings_once_at_the_time_that_was_set() -> None:
    clock, rung = FakeClock(0), list[float]()
    alarm = Alarm(clock)
    alarm.set(10, lambda: rung.append(clock.now))
    await clock.advance(9)
    assert rung == []
    await clock.advance(20)
    assert rung == [10]


async def test_a_later_time_replaces_an_earlier_one_without_a_new_timer() -> None:
    clock, rung = FakeClock(0), list[str]()
    alarm = Alarm(clock)
    alarm.set(10, lambda: rung.append("first"))
    for due in range(11, 100):
        alarm.set(due, lambda: rung.append("last"))
    assert len(clock._due) == 1
    await clock.advance(98)
    assert rung == []
    await clock.advance(1)
    assert rung == ["last"]


async def test_an_earlier_time_replaces_a_later_one() -> None:
    clock, rung = FakeClock(0), list[str]()
    alarm = Alarm(clock)
    alarm.set(100, lambda: rung.append("late"))
    alarm.set(10, lambda: rung.append("early"))
    await clock.advance(200)
    assert rung == ["early"]


async def test_off_and_close_silence_it() -> None:
    clock, rung = FakeClock(0), list[str]()
    off, closed = Alarm(clock), Alarm(clock)
    off.set(10, lambda: rung.append("off"))
    off.off()
    closed.set(10, lambda: rung.append("closed"))
    closed.close()
    closed.close()
    await clock.advance(20)
    assert rung == []
    off.set(30, lambda: rung.append("again"))
    await clock.advance(20)
    assert rung == ["again"]
