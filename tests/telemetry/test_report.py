"""A finished request is counted, kept and logged once; an alarm rings once for a model."""

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.core.capacity import Capacity
from gateway.core.catalogue import Catalogue, Model
from gateway.core.health import Health
from gateway.core.notes import Attempted, Demand, Limited, Used
from gateway.core.ports import Tools
from gateway.core.reply import Usage
from gateway.core.state import Standing, Sums
from gateway.runtime import SystemClock
from gateway.state.memory import memory_state
from gateway.telemetry.log import Log, open_log
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.report import Report
from tests.fakes.runtime import make_runtime
from tests.telemetry.outcomes import GOOD, make_outcome

LONG = (
    Limited(Standing((), (), 0.0, ()), reserved=Demand(output=10)),
    Attempted("one", "gpt", 1.0, 2.0),
    Used("gpt", Usage(5, 11), 70),
)


@pytest.fixture
def written(tmp_path: Path) -> Iterator[tuple[Log, Path]]:
    path = tmp_path / "log"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    with open_log(fd, clock=SystemClock(), is_terminal=False) as log:
        yield log, path
    os.close(fd)


def events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_a_request_is_in_the_metrics_the_ledger_and_the_log(
    written: tuple[Log, Path],
) -> None:
    log, path = written
    runtime = make_runtime()
    state = memory_state(runtime.clock)
    catalogue = Catalogue(models={"gpt": Model(provider="one")})
    tools = Tools(
        runtime=runtime,
        providers={},
        catalogue=catalogue,
        state=state,
        capacity=Capacity(runtime.clock, runtime.random),
        health=Health(runtime.random),
    )
    report = Report(Metrics(), log, tools)
    report(make_outcome(*GOOD))
    report(make_outcome(endpoint="/livez", policy=""))
    for number in range(3):
        report(make_outcome(*LONG, id=f"long-{number}"))
    report.hand_over()
    assert await state.ledger.sums(0) == {"acme": Sums(4, 57 + 15, 31 + 33, 1_240 + 210)}
    async with asyncio.timeout(10):
        while len(events(path)) < 5:
            await asyncio.sleep(0.01)
    warnings = [event for event in events(path) if event.get("level") == "warning"]
    assert [event["model"] for event in warnings] == ["gpt"]
    requests = [event for event in events(path) if event["event"] == "request"]
    assert [event["counted"] for event in requests] == ["provider"] * 4
