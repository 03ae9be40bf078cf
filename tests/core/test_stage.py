"""Stages are folded once, the first outermost, and each decides whether to go on."""

from collections.abc import Sequence

import pytest

from gateway.core.chat import parse_request
from gateway.core.errors import Overloaded
from gateway.core.exchange import Caller, Exchange
from gateway.core.notes import Notes
from gateway.core.reply import Reply, Whole
from gateway.core.stage import Next, Stage, compose

REQUEST = parse_request("chat", b'{"model":"m","messages":[{"role":"user","content":"x"}]}')
EXCHANGE = Exchange("req-1", Caller(), REQUEST, 60.0, Notes())


def note(name: str, log: list[str]) -> Stage:
    async def stage(exchange: Exchange, proceed: Next) -> Reply:
        log.append(f"{name} in")
        reply = await proceed(exchange)
        log.append(f"{name} out")
        return reply

    return stage


async def run(stages: Sequence[Stage], log: list[str]) -> Reply:
    async def last(exchange: Exchange) -> Reply:
        log.append(f"last {exchange.request.model}")
        return Whole(b"{}")

    return await compose(stages, last)(EXCHANGE)


async def test_without_stages_the_last_step_answers() -> None:
    log: list[str] = []
    assert await run([], log) == Whole(b"{}")
    assert log == ["last m"]


async def test_the_first_stage_is_outermost() -> None:
    log: list[str] = []
    await run([note("a", log), note("b", log)], log)
    assert log == ["a in", "b in", "last m", "b out", "a out"]


async def test_a_stage_may_answer_by_itself() -> None:
    async def answer(_exchange: Exchange, _proceed: Next) -> Reply:
        return Whole(b'"mine"')

    log: list[str] = []
    assert await run([note("a", log), answer, note("b", log)], log) == Whole(b'"mine"')
    assert log == ["a in", "a out"]


async def test_a_stage_may_change_what_goes_in() -> None:
    async def rename(exchange: Exchange, proceed: Next) -> Reply:
        return await proceed(exchange.with_request(exchange.request.with_fields(model="n")))

    log: list[str] = []
    await run([rename], log)
    assert log == ["last n"]


async def test_a_stage_may_proceed_more_than_once() -> None:
    async def twice(exchange: Exchange, proceed: Next) -> Reply:
        await proceed(exchange)
        return await proceed(exchange)

    log: list[str] = []
    await run([twice, note("b", log)], log)
    assert log == ["b in", "last m", "b out"] * 2


async def test_an_error_passes_through_all_stages() -> None:
    async def fail(_exchange: Exchange, _proceed: Next) -> Reply:
        raise Overloaded("Later.")

    log: list[str] = []
    with pytest.raises(Overloaded):
        await run([note("a", log), fail], log)
    assert log == ["a in"]


async def test_one_chain_serves_many_requests() -> None:
    log: list[str] = []

    async def last(_exchange: Exchange) -> Reply:
        return Whole(b"{}")

    chain = compose([note("a", log)], last)
    await chain(EXCHANGE)
    await chain(EXCHANGE)
    assert log == ["a in", "a out"] * 2
