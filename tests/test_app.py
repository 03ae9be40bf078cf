"""The composed gateway: it serves, warms up without holding anybody back, and says what it did."""

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

import gateway.state.redis.limiter  # noqa: F401 - loading it inside of a test's loop would block that
from gateway.edge.listening import CannotStart
from tests.fakes.gateway import OpenGateway, open_test_gateway

HELLO = {"model": "simulated/demo", "messages": [{"role": "user", "content": "Hello!"}]}


async def get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


async def ask(gateway: OpenGateway, body: dict[str, Any], key: str = "") -> tuple[int, Any]:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{gateway.url}/chat/completions", json=body) as response,
    ):
        return response.status, await response.json()


async def eventually(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not reached():
            await asyncio.sleep(0.01)


async def test_a_request_is_answered_counted_and_logged() -> None:
    async with open_test_gateway() as gateway:
        status, answer = await ask(gateway, HELLO)
        assert status == 200
        assert answer["choices"][0]["message"]["content"]
        _, metrics = await get(f"{gateway.admin_url}/metrics")
        assert 'turnout_requests_total{code="",endpoint="/v1/chat/completions"' in metrics
        await eventually(lambda: len(gateway.events()) == 1)
        (event,) = gateway.events()
        assert (event["event"], event["status"], event["model"]) == (
            "request",
            200,
            "simulated/demo",
        )


async def test_keys_open_the_door_and_never_show_up_in_the_log() -> None:
    settings = {"keys": {"alice": "env:ALICE"}}
    async with open_test_gateway({"ALICE": "hunter2-alice"}, settings=settings) as gateway:
        assert (await ask(gateway, HELLO))[0] == 401
        assert (await ask(gateway, HELLO, key="hunter2-alice"))[0] == 200
        await eventually(lambda: len(gateway.events()) == 2)
        assert "hunter2" not in gateway.log.read_text()
        assert [event["tenant"] for event in gateway.events()] == ["", "alice"]


async def test_a_model_without_its_key_is_404_with_the_cure() -> None:
    providers = {"openai": {"kind": "openai", "api_key": "env:OPENAI_API_KEY"}}
    models = {"gpt-4o": {"provider": "openai"}}
    async with open_test_gateway(providers=providers, models=models) as gateway:
        status, answer = await ask(gateway, {**HELLO, "model": "gpt-4o"})
        assert status == 404
        assert "Set OPENAI_API_KEY, then restart." in answer["error"]["message"]


async def test_warmups_run_at_once_and_a_silent_provider_delays_readiness_by_its_timeout_only() -> (
    None
):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and says nothing
        port = silent.getsockname()[1]
        providers = {
            "silent": {
                "kind": "openai",
                "base_url": f"http://127.0.0.1:{port}/v1",
                "warmup": {"prompt": "hi", "model": "m", "timeout": 0.3},
            },
            "gone": {
                "kind": "openai",
                "base_url": "http://127.0.0.1:1/v1",
                "warmup": {"connections": 1, "timeout": 5},
            },
            "simulated": {"kind": "simulated", "warmup": {}},
        }
        async with open_test_gateway(providers=providers) as gateway:
            assert (await ask(gateway, HELLO))[0] == 200
            readiness = gateway.gateway.readiness
            assert set(readiness.warmups) == set(providers)
            await eventually(readiness.ready)
            states = {name: warmed.state for name, warmed in readiness.warmups.items()}
            assert states["simulated"] == "ready"
            assert states["gone"] == "failed"
            assert states["silent"] in {"timeout", "failed"}
            assert 0.25 <= readiness.warmups["silent"].seconds < 4
            _, report = await get(f"{gateway.admin_url}/readyz")
            assert json.loads(report)["warmups"]["simulated"]["state"] == "ready"
            await eventually(lambda: len(gateway.events()) >= 4)
            warmed = [event for event in gateway.events() if event["event"] == "warmed up"]
            assert {event["provider"] for event in warmed} == set(providers)


async def test_c06_without_redis_it_starts_answers_and_says_what_is_missing() -> None:
    password = "hunter2hunter2"
    away = {"kind": "redis", "url": "env:REDIS_URL"}
    environment = {"REDIS_URL": f"redis://:{password}@127.0.0.1:9/0"}
    async with open_test_gateway(environment, settings={"state": away}) as gateway:
        status, _ = await ask(gateway, HELLO)
        _, report = await get(f"{gateway.admin_url}/readyz")
        _, metrics = await get(f"{gateway.admin_url}/metrics")
        _, public = await get(f"{gateway.root}/readyz")
        log = str(gateway.events())
    assert status == 200
    assert "redis does not answer" in json.loads(report)["problems"]["state"]
    assert "turnout_state_ok 0.0" in metrics
    assert "redis" not in public
    assert password not in report + log


async def test_a_taken_address_is_named_with_the_cure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for field in ("listen", "admin"):
            with pytest.raises(CannotStart, match=f"{address}: another process listens there"):
                async with open_test_gateway(settings={field: address}):
                    pass


@pytest.mark.parametrize(
    ("address", "cause"), [("192.0.2.1:8080", "assign"), ("no-such-host.invalid:80", "")]
)
async def test_an_address_that_is_not_ours_says_so(address: str, cause: str) -> None:
    settings = {"listen": address, "keys": {"alice": "env:ALICE"}}
    with pytest.raises(CannotStart, match=f"{address}: .*{cause}"):
        async with open_test_gateway({"ALICE": "a-key-of-some-length"}, settings=settings):
            pass


async def test_strangers_see_that_a_warmup_failed_but_not_why() -> None:
    failing = {"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "warmup": {"timeout": 2}}
    async with open_test_gateway(
        providers={"broken": failing}, models={"m": {"provider": "broken"}}
    ) as gateway:
        warmups = gateway.gateway.readiness.warmups
        await eventually(lambda: warmups["broken"].state == "failed")
        _, public = await get(f"{gateway.root}/readyz")
        _, private = await get(f"{gateway.admin_url}/readyz")
    assert json.loads(public)["warmups"]["broken"]["state"] == "failed"
    assert "detail" not in public
    assert json.loads(private)["warmups"]["broken"]["detail"]


async def test_probes_that_find_nothing_wrong_are_neither_logged_nor_counted() -> None:
    async with open_test_gateway() as gateway:
        await get(f"{gateway.root}/livez")
        await get(f"{gateway.root}/readyz")
        await ask(gateway, HELLO)
        await eventually(lambda: any(e["event"] == "request" for e in gateway.events()))
        _, metrics = await get(f"{gateway.admin_url}/metrics")
        logged = [e["endpoint"] for e in gateway.events() if e["event"] == "request"]
    assert logged == ["/v1/chat/completions"]
    assert 'endpoint="/livez"' not in metrics
