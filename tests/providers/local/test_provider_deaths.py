"""The local model's child dies, hangs or is killed; real processes."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from gateway.core.errors import GatewayError, Retry, UpstreamBroken
from gateway.core.reply import Stream
from gateway.providers.local.provider import Local, LocalConfig
from tests.fakes.local_model import ask, needs_model, whole
from tests.fakes.runtime import real_time_runtime


async def kill_warm(local: Local) -> int:
    """Kill the child that is ready, and return its process id."""
    await local.warm()
    pid = local.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    return pid


@needs_model
@pytest.mark.slow
async def test_after_kill_9_the_next_request_is_answered_by_a_new_child(local: Local) -> None:
    await local.warm()
    first = local.pid
    assert first is not None
    reply = await local.send(ask(stream=True, max_tokens=500))
    assert isinstance(reply, Stream)
    os.kill(first, signal.SIGKILL)
    with pytest.raises(GatewayError):
        async for _ in reply.blocks:
            pass
    assert not reply.tally.clean
    while psutil.pid_exists(first):
        await asyncio.sleep(0.01)
    answer = await whole(local, ask(max_tokens=3))
    assert answer["choices"][0]["message"]["content"]
    assert local.pid not in {None, first}


@needs_model
@pytest.mark.slow
async def test_a_child_killed_while_idle_is_replaced_and_the_next_request_notices_nothing(
    local: Local,
) -> None:
    first = await kill_warm(local)
    answer = await whole(local, ask(max_tokens=3))
    assert answer["choices"][0]["message"]["content"]
    assert local.pid not in {None, first}


@needs_model
@pytest.mark.slow
async def test_a_dead_child_is_started_again_without_being_asked(local: Local) -> None:
    first = await kill_warm(local)
    async with asyncio.timeout(20):
        while local.pid in {None, first}:
            await asyncio.sleep(0.01)


@needs_model
@pytest.mark.slow
async def test_closing_calls_off_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = LocalConfig().build("local", real_time_runtime())
    assert isinstance(provider, Local)
    await provider.warm()
    monkeypatch.setattr(provider, "_deaths", 5)
    pid = provider.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(20):
        while provider.pid == pid:
            await asyncio.sleep(0.01)
    with pytest.raises(UpstreamBroken) as caught:
        await provider.send(ask())
    assert caught.value.retry_after is not None
    await provider.aclose()
    assert provider.pid is None


@needs_model
@pytest.mark.slow
async def test_a_request_that_kills_two_children_may_be_retried_elsewhere(local: Local) -> None:
    await local.warm()
    pid = local.pid
    assert pid is not None
    asking = asyncio.ensure_future(local.send(ask(max_tokens=1500, ignore_eos=True)))
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(20):
        while local.pid in {None, pid}:
            await asyncio.sleep(0.01)
    assert local.pid is not None
    os.kill(local.pid, signal.SIGKILL)
    with pytest.raises(UpstreamBroken) as caught:
        await asking
    assert caught.value.code in {"local_model_died", "local_model_failed"}
    assert caught.value.retry is Retry.OTHER


@needs_model
@pytest.mark.slow
async def test_a_child_that_hangs_is_found_out_and_replaced(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.providers.local.provider.HEALTH_EVERY", 0.05)
    monkeypatch.setattr("gateway.providers.local.provider.HEALTH_TIMEOUT", 0.5)
    await local.warm()
    pid = local.pid
    assert pid is not None
    await asyncio.sleep(0.3)
    assert local.pid == pid, "a healthy child is left alone"
    os.kill(pid, signal.SIGSTOP)
    answer = await whole(local, ask(max_tokens=3))
    assert answer["choices"][0]["message"]["content"]
    assert not psutil.pid_exists(pid)


@needs_model
@pytest.mark.slow
def test_the_child_dies_with_its_parent() -> None:
    script = (
        "import asyncio, os, signal\n"
        "from gateway.providers.local.provider import LocalConfig\n"
        "from tests.fakes.runtime import real_time_runtime\n"
        "async def main():\n"
        "    provider = LocalConfig().build('local', real_time_runtime())\n"
        "    await provider.warm()\n"
        "    print(provider.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    pid = int(done.stdout)
    for _ in range(100):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.05)
    pytest.fail("the child outlived its parent")
