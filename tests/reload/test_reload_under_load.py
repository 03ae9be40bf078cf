"""H02: many reloads, by signal and by API, while streams and whole answers are under way."""

import asyncio
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fakes.gateway import write_config
from tests.fakes.process import Process, serving

SLOW = {
    "simulated": {
        "kind": "simulated",
        "latency": {"law": "fixed", "first_token": 0.02, "gap": 0.02},
        "answer_tokens": 60,
    },
    "quick": {"kind": "simulated", "answer_tokens": 5},
}
MODELS = {
    "slow": {"provider": "simulated", "price": {"input": 0, "output": 0}},
    "quick": {"provider": "quick", "price": {"input": 0, "output": 0}},
}
TOKEN = "operator-token"
PAUSE = 0.05
"""Seconds between two reloads."""


@dataclass
class Load:
    """Callers who ask until they are told to stop."""

    session: aiohttp.ClientSession
    url: str
    over: bool = False
    wholes: int = 0
    streams: int = 0
    failures: list[str] = field(default_factory=list)

    async def ask(self, model: str, *, stream: bool) -> None:
        body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
        try:
            async with self.session.post(self.url, json=body) as response:
                content = await response.read()
                end = b"data: [DONE]\n\n" if stream else b"}"
                if response.status != 200 or not content.endswith(end):
                    self.failures.append(f"{response.status} {content[-200:]!r}")
        except aiohttp.ClientError as error:
            self.failures.append(repr(error))
        self.streams += stream
        self.wholes += not stream

    async def keep_streaming(self) -> None:
        while not self.over:
            await self.ask("slow", stream=True)

    async def arrive(self, rate: float) -> None:
        """Ask at a rate, whatever becomes of the requests before."""
        async with asyncio.TaskGroup() as group:
            while not self.over:
                group.create_task(self.ask("quick", stream=False))
                await asyncio.sleep(1 / rate)


async def reload(process: Process, session: aiohttp.ClientSession, number: int) -> None:
    """Write other policies, and have them read by API and by signal in turn."""
    policies = process.output.parent / "policies"
    mode = ("direct", "buffered")[number % 2]
    (policies / "default.yaml").write_text(f"pipeline: [{{stage: relay, mode: {mode}}}]\n")
    new = policies / "tenants.new"
    new.write_text(f'tenants: {{local: {{labels: {{round: "{number}"}}}}}}\n')
    new.rename(policies / "tenants.yaml")
    if number % 2:
        process.running.send_signal(signal.SIGHUP)
        return
    url = f"http://127.0.0.1:{process.admin_port}/admin/reload"
    async with session.post(url, headers={"authorization": f"Bearer {TOKEN}"}) as response:
        done = await response.json()
        assert (response.status, done["ok"]) == (200, True), done


@pytest.mark.parametrize(
    ("reloads", "streams", "rate"),
    [(20, 10, 50.0), pytest.param(100, 50, 100.0, marks=pytest.mark.long)],
)
async def test_h02_reloads_under_load_drop_nothing(
    tmp_path: Path, reloads: int, streams: int, rate: float
) -> None:
    write_config(tmp_path, providers=SLOW, models=MODELS, settings={"admin_token": "env:TOKEN"})
    environment = {**os.environ, "TOKEN": TOKEN}
    with serving(tmp_path, environment=environment) as process:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            load = Load(session, f"http://127.0.0.1:{process.port}/v1/chat/completions")
            started = time.monotonic()
            async with asyncio.TaskGroup() as group:
                for _ in range(streams):
                    group.create_task(load.keep_streaming())
                group.create_task(load.arrive(rate))
                for number in range(reloads + 1):
                    await reload(process, session, number)
                    await asyncio.sleep(PAUSE)
                load.over = True
            seconds = time.monotonic() - started
        report: Any = process.readiness()["policies"]
        swaps = [e for e in process.events() if e["event"] == "policies reloaded"]
    sys.stdout.write(
        f"{len(swaps)} versions in {seconds:.1f} s: {load.wholes} whole answers, "
        f"{load.streams} streams, {len(load.failures)} failures\n"
    )
    assert load.failures == []
    assert load.streams >= streams
    assert load.wholes > reloads
    assert len(swaps) >= reloads // 2
    assert (report["ok"], report["in_use"]) == (True, {})
