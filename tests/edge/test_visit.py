"""One request's visit: what is noted, and who may interrupt it."""

import asyncio

import pytest

from gateway.core.errors import Draining, UpstreamBroken
from gateway.edge.connection import Connection
from gateway.edge.visit import ClientGone, Visit
from tests.fakes.clock import FakeClock
from tests.fakes.service import open_house


class Unconnected:
    """A connection whose client has gone."""

    transport = None
    address = ""

    def __init__(self) -> None:
        self.task = asyncio.current_task()


def visit() -> Visit:
    connection: Connection = Unconnected()  # type: ignore[assignment]
    return Visit("req-1", FakeClock(), connection)


async def test_the_outcome_says_what_was_noted() -> None:
    it = visit()
    it.blame(UpstreamBroken("-", detail="reset by peer"))
    outcome = it.outcome()
    assert (outcome.id, outcome.endpoint, outcome.caller.tenant) == ("req-1", "other", "")
    assert (outcome.code, outcome.fault, outcome.detail) == (
        "upstream_broken",
        "upstream",
        "reset by peer",
    )


async def test_only_the_first_interruption_counts() -> None:
    it = visit()
    task = asyncio.current_task()
    assert task is not None
    it.interrupt(Draining("first"))
    it.interrupt(Draining("second"))
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(1)
    assert task.uncancel() == 0
    assert str(it.interruption) == "first"


async def test_nothing_is_written_for_a_client_that_has_gone() -> None:
    it = visit()
    it.cut()
    with pytest.raises(ClientGone):
        it.write(b"x")


async def test_a_visit_ends_with_its_request() -> None:
    async with open_house() as house:
        assert house.edge.in_flight == 0
