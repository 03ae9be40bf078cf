"""Warm-ups: readiness waits for them, though not for ever."""

import asyncio
from typing import cast

from gateway.core.capability import NOTHING
from gateway.core.embedding import EmbedderUnavailable
from gateway.core.ports import Call
from gateway.core.reply import Reply
from gateway.edge.readiness import Readiness
from gateway.edge.warming import Warming
from gateway.providers.base import Warmup
from gateway.providers.simulated.provider import SimulatedConfig
from gateway.telemetry.log import Log
from tests.fakes.runtime import real_time_runtime
from tests.fakes.stores import until


async def _no_model() -> None:
    raise EmbedderUnavailable("the model's files are not installed")


class Hangs:
    """A provider that is never warm."""

    stands_in_for = NOTHING

    async def send(self, _call: Call, /) -> Reply:
        raise NotImplementedError

    async def warm(self) -> None:
        await asyncio.Event().wait()

    async def aclose(self) -> None: ...


class Told:
    """Stands for the log."""

    def __init__(self) -> None:
        self.warnings: list[dict[str, object]] = []

    def warning(self, _event: str, **fields: object) -> None:
        self.warnings.append(fields)

    def redact(self, text: str) -> str:
        return text


async def test_readiness_waits_for_a_provider_that_hangs_no_longer_than_its_timeout() -> None:
    readiness, told = Readiness(), Told()
    runtime = real_time_runtime()
    configs = {"slow": SimulatedConfig(warmup=Warmup(timeout=0.05))}
    Warming(readiness, runtime.clock, cast("Log", told)).start(
        configs, {"slow": Hangs()}, runtime.spawn
    )
    assert not readiness.ready()
    await until(readiness.ready)
    assert readiness.warmups["slow"].state == "timeout"
    assert told.warnings[0]["detail"] == "not warm after 0.05 s"


async def test_an_embedder_that_cannot_be_had_holds_nothing_back_and_is_told() -> None:
    readiness, told = Readiness(), Told()
    runtime = real_time_runtime()
    warming = Warming(readiness, runtime.clock, cast("Log", told))
    warming.add("embedder", _no_model, 5.0, runtime.spawn)
    assert not readiness.ready()
    await until(readiness.ready)
    assert readiness.warmups["embedder"].state == "failed"
    assert told.warnings[0]["detail"] == "the model's files are not installed"
