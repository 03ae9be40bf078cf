"""C01, C02, C05: callers that come together never get more than there is."""

import asyncio
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Self

import pytest

from tests.fakes.gateway import open_test_gateway, write_config
from tests.fakes.metered import Crowd, Meter, counted, ledger, limited_config, open_metered
from tests.fakes.process import Process, serving, until
from tests.fakes.redis_server import redis_server

TEN = {"cost": 0.01, "each": "day", "name": "daily"}
"""A budget for ten requests of 100 tokens."""


def check_exactly_ten(crowd: Crowd, meter: Meter) -> None:
    assert crowd.codes == {"": 10, "budget_exceeded": 190}
    assert meter.calls == 10
    refused = [got for got in crowd.got if got.status != 200]
    assert {got.status for got in refused} == {429}
    for got in refused:
        waits = "retry-after" in got.headers
        assert waits != (got.headers.get("x-should-retry") == "false")
        assert not waits or 0 < int(got.headers["retry-after-ms"]) <= 60_000


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_c01_200_at_once_on_a_budget_for_10_get_exactly_10_answers(kind: str) -> None:
    async with open_metered() as (meter, upstream):
        config = limited_config(upstream, TEN)
        async with open_test_gateway(settings={"state": {"kind": kind}}, **config) as gateway:
            crowd = Crowd([gateway.url])
            await crowd.ask(200)
            (later,) = await crowd.ask()
            metrics = gateway.gateway.process
            text = (await metrics.metrics()).decode()
        crowd.got.remove(later)
        check_exactly_ten(crowd, meter)
        assert later.headers["x-should-retry"] == "false"
        assert 'turnout_limit_refusals_total{limit="daily"} 191.0' in text


async def test_c02_200_at_once_over_3_workers_get_exactly_10_answers(tmp_path: Path) -> None:
    async with open_metered() as (meter, upstream):
        write_config(tmp_path, **limited_config(upstream, TEN))
        with await asyncio.to_thread(_serving, tmp_path, "--workers", "3") as stack:
            (process,) = stack.processes
            crowd = Crowd([f"http://127.0.0.1:{process.port}/v1"])
            await crowd.ask(200)
            await asyncio.to_thread(stack.stack.close)
        check_exactly_ten(crowd, meter)
        sums = ledger(tmp_path / "data")
        assert sums["requests"] == (10, meter.tokens_in, meter.tokens_out, 10_000)
        assert counted(tmp_path / "data") == [(10_000, 0)]


async def test_c02_200_at_once_over_2_nodes_get_exactly_10_answers(tmp_path: Path) -> None:
    async with open_metered() as (meter, upstream):
        config = limited_config(upstream, TEN)
        with redis_server() as redis:
            state = {"kind": "redis", "url": "env:REDIS_URL", "timeout": 1.0}
            homes = [tmp_path / name for name in ("one", "two")]
            for home in homes:
                home.mkdir()
                write_config(home, settings={"state": state}, **config)
            environment = {"REDIS_URL": redis.url}
            with await asyncio.to_thread(_nodes, homes, environment) as stack:
                urls = [f"http://127.0.0.1:{node.port}/v1" for node in stack.processes]
                crowd = Crowd(urls)
                await crowd.ask(200)
                await asyncio.to_thread(stack.stack.close)
        check_exactly_ten(crowd, meter)
        total = [ledger(home / "data")["requests"] for home in homes]
        assert sum(row[0] for row in total) == 10
        assert sum(row[3] or 0 for row in total) == 10_000


async def test_c05_the_first_requests_of_an_unknown_user_meet_its_budget_together() -> None:
    async with open_metered() as (meter, upstream):
        limit = {"cost": 0.003, "each": "day", "per": ["user"]}
        async with open_test_gateway(**limited_config(upstream, limit)) as gateway:
            crowd = Crowd([gateway.url])
            await crowd.ask(8, user="never seen before")
            await crowd.ask(1, user="another one")
    assert crowd.codes == {"": 4, "budget_exceeded": 5}
    assert meter.calls == 4


class _Nodes:
    def __init__(self, stack: ExitStack, processes: list[Process]) -> None:
        self.stack = stack
        self.processes = processes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()


def _serving(home: Path, *arguments: str) -> _Nodes:
    stack = ExitStack()
    process = stack.enter_context(serving(home, *arguments))
    until(partial(_well, process), process)
    stack.callback(_stop, process)
    return _Nodes(stack, [process])


def _nodes(homes: list[Path], environment: dict[str, str]) -> _Nodes:
    stack = ExitStack()
    processes = []
    for home in homes:
        process = stack.enter_context(serving(home, environment=environment))
        until(partial(_well, process), process)
        stack.callback(_stop, process)
        processes.append(process)
    return _Nodes(stack, processes)


def _well(process: Process) -> bool:
    report = process.readiness()
    return bool(report["ready"] and not report.get("problems"))


def _stop(process: Process) -> None:
    """End it in good order, so that all is written."""
    process.running.terminate()
    process.end()
