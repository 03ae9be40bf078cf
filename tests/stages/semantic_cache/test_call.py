"""A call outlives whoever began it, and fails to nobody but who reads what came of it."""

import asyncio

import pytest

from gateway.core.errors import InternalError, UpstreamBroken
from gateway.core.exchange import Exchange
from gateway.core.notes import Verdict
from gateway.core.reply import Reply, Whole
from gateway.stages.semantic_cache.call import Call
from tests.fakes.cached import CachedHouse
from tests.fakes.clock import settle
from tests.fakes.service import make_stream


def begun(proceed: object) -> tuple[Call, Exchange]:
    house = CachedHouse()
    exchange = house.exchange()
    return Call(house.runtime, exchange, proceed, 5.0), exchange  # type: ignore[arg-type]  # a test's own


async def test_its_notes_are_its_own_until_somebody_pays() -> None:
    async def proceed(exchange: Exchange) -> Reply:
        exchange.notes.add(Verdict("x", "y"))
        return Whole(b"{}")

    call, exchange = begun(proceed)
    await call.over()
    assert len(exchange.notes) == 0
    call.pay(exchange)
    assert list(exchange.notes) == [Verdict("x", "y")]
    assert call.reply().body == b"{}"


async def test_who_pays_knows_of_several_attempts() -> None:
    """Else what a limit is charged is the newest one alone."""

    async def proceed(exchange: Exchange) -> Reply:
        exchange.notes.several = True
        return Whole(b"{}")

    call, exchange = begun(proceed)
    await call.over()
    assert not exchange.notes.several
    call.pay(exchange)
    assert exchange.notes.several


async def test_who_waits_may_leave_and_it_goes_on() -> None:
    gate = asyncio.Event()

    async def proceed(_: Exchange) -> Reply:
        await gate.wait()
        return Whole(b"{}")

    call, _ = begun(proceed)
    waiting = asyncio.create_task(call.over())
    await settle()
    waiting.cancel()
    await settle()
    gate.set()
    await call.over()
    assert call.reply().body == b"{}"


async def test_when_it_is_cancelled_it_is_over_and_has_no_answer() -> None:
    async def proceed(_: Exchange) -> Reply:
        await asyncio.Event().wait()
        raise AssertionError

    call, _ = begun(proceed)
    await settle()
    await call.cancel()
    with pytest.raises(InternalError):
        call.reply()


async def test_its_error_is_raised_to_who_reads_it() -> None:
    async def proceed(_: Exchange) -> Reply:
        raise UpstreamBroken("It broke.")

    call, _ = begun(proceed)
    await call.over()
    with pytest.raises(UpstreamBroken):
        call.reply()


async def test_a_stream_is_no_answer_to_it() -> None:
    async def proceed(_: Exchange) -> Reply:
        return make_stream([])

    call, _ = begun(proceed)
    await call.over()
    with pytest.raises(InternalError):
        call.reply()
