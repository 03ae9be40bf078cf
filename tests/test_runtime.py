"""The real runtime: clocks that run, ids that do not repeat, tasks that never get lost."""

import asyncio
import re
import time

import pytest

from gateway.runtime import Ids, SystemClock, new_secret, open_runtime


def ignore(_name: str, _error: BaseException) -> None:
    pytest.fail("nothing should fail here")


async def test_the_clock_tells_real_time() -> None:
    clock = SystemClock()
    assert abs(clock.monotonic() - time.monotonic()) < 5
    assert abs(clock.wall() - time.time()) < 5
    before = clock.monotonic()
    await clock.sleep(0.01)
    assert clock.monotonic() - before >= 0.005


async def test_a_timer_calls_back_once_unless_cancelled() -> None:
    clock, rung = SystemClock(), asyncio.Event()
    clock.after(0.0, rung.set)
    timer = clock.after(0.0, lambda: pytest.fail("cancelled"))
    timer.cancel()
    await rung.wait()
    timer.cancel()


def test_ids_carry_128_random_bits() -> None:
    new_id = Ids()
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(r"req-[0-9a-f]{32}", one) for one in ids)


def test_a_secret_has_32_letters_and_digits_and_never_comes_twice() -> None:
    secrets = {new_secret() for _ in range(1000)}
    assert len(secrets) == 1000
    assert all(re.fullmatch(r"[A-Za-z0-9]{32}", one) for one in secrets)
    assert len(set("".join(secrets))) == 62


async def test_a_background_task_runs_under_its_name() -> None:
    names: list[str] = []

    async def work() -> None:
        task = asyncio.current_task()
        names.append(task.get_name() if task else "")

    async with open_runtime(ignore) as runtime:
        task = runtime.spawn("the work", work())
        while not task.done():
            await runtime.clock.sleep(0)
    assert names == ["the work"]


async def test_a_background_task_that_fails_is_reported_by_name() -> None:
    failures: list[tuple[str, str]] = []

    async def work() -> None:
        raise ValueError("boom")

    async with open_runtime(lambda name, error: failures.append((name, str(error)))) as runtime:
        task = runtime.spawn("bad work", work())
        while not failures:
            await runtime.clock.sleep(0)
        assert task.done()
    assert failures == [("bad work", "boom")]


async def test_leaving_cancels_and_awaits_what_still_runs() -> None:
    steps: list[str] = []

    async def work(clock: SystemClock) -> None:
        try:
            await clock.sleep(3600)
        finally:
            await clock.sleep(0.01)
            steps.append("cleaned up")

    async with open_runtime(ignore) as runtime:
        runtime.spawn("long work", work(SystemClock()))
        await runtime.clock.sleep(0)
    assert steps == ["cleaned up"]


async def test_leaving_with_an_error_drains_all_the_same() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def crash() -> None:
        async with open_runtime(ignore) as runtime:
            runtime.spawn("work", work())
            await runtime.clock.sleep(0)
            raise KeyError

    with pytest.raises(KeyError):
        await crash()
    assert ended.is_set()


async def test_a_task_that_fails_while_draining_is_reported_too() -> None:
    failures: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("late")

    async with open_runtime(lambda name, _error: failures.append(name)) as runtime:
        runtime.spawn("sore loser", work())
        await runtime.clock.sleep(0)
    assert failures == ["sore loser"]
