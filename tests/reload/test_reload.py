"""A running gateway and its policy files: what is right comes into use, what is wrong is told."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from tests.fakes.gateway import OpenGateway, open_test_gateway

HELLO = {"model": "simulated/demo", "messages": [{"role": "user", "content": "Hello!"}]}
ENVIRONMENT = {"ALICE": "alice-key", "BOB": "bob-key", "TOKEN": "operator-token"}
SETTINGS = {"keys": {"alice": "env:ALICE", "bob": "env:BOB"}, "admin_token": "env:TOKEN"}
BOTH = "tenants:\n  alice: {}\n  bob: {}\n"
OPERATOR = ENVIRONMENT["TOKEN"]
PATIENCE = 10.0


async def write(path: Path, text: str) -> None:
    await asyncio.to_thread(path.write_text, text)


async def status_of(gateway: OpenGateway, key: str) -> int:
    async with (
        aiohttp.ClientSession(headers={"x-api-key": key}) as session,
        session.post(f"{gateway.url}/chat/completions", json=HELLO) as response,
    ):
        return response.status


async def reload(gateway: OpenGateway, token: str = OPERATOR) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession(headers={"authorization": f"Bearer {token}"}) as session,
        session.post(f"{gateway.admin_url}/admin/reload") as response,
    ):
        return response.status, await response.json()


async def show(gateway: OpenGateway, page: str) -> str:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{gateway.admin_url}/{page}") as response,
    ):
        return await response.text()


async def policies(gateway: OpenGateway) -> Mapping[str, Any]:
    report: Mapping[str, Any] = json.loads(await show(gateway, "readyz"))["policies"]
    return report


async def until(reached: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await reached():
            await asyncio.sleep(0.01)


async def test_h01_a_bad_file_is_422_with_its_line_and_shows_everywhere() -> None:
    async with open_test_gateway(ENVIRONMENT, settings=SETTINGS) as gateway:
        before = (await policies(gateway))["version"]
        await write(gateway.policies / "default.yaml", "pipeline:\n  - stage: realy\n")
        status, done = await reload(gateway)
        assert status == 422
        assert (done["ok"], done["version"]) == (False, before)
        (problem,) = done["problems"]
        assert (Path(problem["file"]).name, problem["line"]) == ("default.yaml", 2)
        assert "Did you mean `relay`?" in problem["text"]
        assert await status_of(gateway, "alice-key") == 200
        ready = json.loads(await show(gateway, "readyz"))
        assert ready["ready"] is True
        assert "Did you mean `relay`?" in ready["problems"]["policies"]
        metrics = await show(gateway, "metrics")
        assert "turnout_config_ok 0.0" in metrics
        assert f'turnout_config_version{{version="{before}"}} 1.0' in metrics
        await write(gateway.policies / "default.yaml", "pipeline: []\n")
        assert (await reload(gateway))[0] == 200
        assert "turnout_config_ok 1.0" in await show(gateway, "metrics")
        assert "policies" not in json.loads(await show(gateway, "readyz"))["problems"]

        async def told() -> bool:
            said = [e["event"] for e in gateway.events() if e["event"].startswith("policies")]
            return said == ["policies are wrong: the last good ones stay", "policies reloaded"]

        await until(told)


async def test_the_operators_token_opens_the_reload_and_a_tenants_key_does_not() -> None:
    async with open_test_gateway(ENVIRONMENT, settings=SETTINGS) as gateway:
        assert (await reload(gateway))[0] == 200
        for wrong in ("alice-key", "", "operator-toke"):
            status, body = await reload(gateway, wrong)
            assert (status, body["error"]["code"]) == (401, "invalid_token")
        assert await status_of(gateway, "operator-token") == 401


async def test_h03_a_tenant_that_is_taken_out_is_401_without_a_restart() -> None:
    async with open_test_gateway(ENVIRONMENT, settings=SETTINGS) as gateway:
        await write(gateway.policies / "tenants.yaml", BOTH)
        assert (await reload(gateway))[0] == 200
        assert await status_of(gateway, "bob-key") == 200
        removed = time.monotonic()
        await write(gateway.policies / "tenants.yaml", "tenants:\n  alice: {}\n")

        async def locked_out() -> bool:
            return await status_of(gateway, "bob-key") == 401

        await until(locked_out)
        sys.stdout.write(f"locked out after {time.monotonic() - removed:.2f} s\n")
        assert await status_of(gateway, "alice-key") == 200


async def test_a_request_keeps_the_policies_that_it_began_with() -> None:
    slow = {"kind": "simulated", "latency": {"law": "fixed", "first_token": 0.0, "gap": 0.05}}
    providers = {"simulated": {**slow, "answer_tokens": 60}}
    async with (
        open_test_gateway(ENVIRONMENT, providers=providers, settings=SETTINGS) as gateway,
        aiohttp.ClientSession(headers={"x-api-key": "alice-key"}) as session,
    ):
        old = (await policies(gateway))["version"]
        asked = {**HELLO, "stream": True}
        async with session.post(f"{gateway.url}/chat/completions", json=asked) as response:
            first = await response.content.readline()
            without = "on_revoke: finish\ntenants: {bob: {}}\n"
            await write(gateway.policies / "tenants.yaml", without)
            _, done = await reload(gateway)
            assert done["version"] != old
            assert (await policies(gateway))["in_use"] == {old: 1}
            assert await status_of(gateway, "alice-key") == 401
            rest = await response.content.read()
        assert first.startswith(b"data: ")
        assert rest.rstrip().endswith(b"data: [DONE]")
        assert (await policies(gateway))["in_use"] == {}

        async def told() -> bool:
            retired = [e for e in gateway.events() if e["event"] == "policies retired"]
            return [event["version"] for event in retired] == [old]

        await until(told)


async def test_a_change_of_config_is_told_to_need_a_restart() -> None:
    async with open_test_gateway(ENVIRONMENT, settings=SETTINGS) as gateway:
        models = gateway.policies.parent / "config/models.yaml"
        at = await asyncio.to_thread(models.stat)
        await asyncio.to_thread(os.utime, models, ns=(at.st_atime_ns, at.st_mtime_ns + 1))

        async def told() -> bool:
            return any(e["event"].startswith("config has changed") for e in gateway.events())

        await until(told)
