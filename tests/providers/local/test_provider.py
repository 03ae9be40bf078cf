"""The local provider with its real model; without the packages only its refusals are tested."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from gateway.core import wire
from gateway.core.catalogue import Model, Target
from gateway.core.chat import Endpoint, parse_request
from gateway.core.errors import (
    GatewayError,
    Retry,
    UpstreamBroken,
    UpstreamRefused,
    UpstreamTimeout,
)
from gateway.core.ports import Call
from gateway.core.reply import Stream, Whole
from gateway.core.sse import events
from gateway.providers.base import Warmup
from gateway.providers.local import process as local_process
from gateway.providers.local.provider import Local, LocalConfig
from tests.fakes.runtime import real_time_runtime

MISSING = LocalConfig().unusable()
needs_model = pytest.mark.skipif(bool(MISSING), reason=f"no local model: {MISSING}")
MODEL = Model(provider="local", name="local/smollm2", upstream="smollm2")


def ask(
    content: str = "Why is the sky blue?",
    *,
    endpoint: Endpoint = "chat",
    seconds: float = 50.0,
    **fields: Any,
) -> Call:
    body = {"model": "local/smollm2", "max_tokens": 16, **fields}
    body["messages"] = [{"role": "user", "content": content}]
    request = parse_request(endpoint, wire.encode(body))
    return Call("req-1", request, Target(MODEL), time.monotonic() + seconds)


def embedding() -> Call:
    request = parse_request("embeddings", b'{"model":"m","input":"x"}')
    return Call("req-1", request, Target(MODEL), time.monotonic() + 20)


@pytest.fixture
async def local() -> AsyncIterator[Local]:
    provider = LocalConfig().build("my-local", real_time_runtime())
    assert isinstance(provider, Local)
    yield provider
    await provider.aclose()


async def whole(provider: Local, call: Call) -> Any:
    reply = await provider.send(call)
    assert isinstance(reply, Whole)
    return wire.decode(reply.body)


def test_without_its_packages_it_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.providers.local.provider.find_spec", lambda name: None)
    assert "make install" in LocalConfig().unusable()


def test_without_the_model_file_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"xllamacpp": object()}
    monkeypatch.setattr("gateway.providers.local.provider.find_spec", found.get)
    assert "make install" in LocalConfig().unusable()


def test_a_model_file_that_is_not_there_is_named_as_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("gateway.providers.local.provider.find_spec", lambda name: object())
    path = tmp_path / "model.gguf"
    assert "model_file" in LocalConfig(model_file=str(path)).unusable()
    path.touch()
    assert LocalConfig(model_file=str(path)).unusable() == ""


def test_it_is_a_provider_of_kind_local() -> None:
    assert wire.decode_as(b'{"kind":"local","threads":2}', LocalConfig).threads == 2


async def test_a_machine_without_the_model_gets_a_clear_failure(tmp_path: Path) -> None:
    config = LocalConfig(model_file=str(tmp_path / "none.gguf"))
    provider = config.build("local", real_time_runtime())
    with pytest.raises(UpstreamBroken) as caught:
        await provider.send(ask())
    assert caught.value.code == "local_model_failed"
    assert caught.value.retry is Retry.OTHER
    await provider.aclose()


async def test_a_model_file_that_is_garbage_fails_and_leaves_no_child(tmp_path: Path) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(b"not a model")
    provider = LocalConfig(model_file=str(path)).build("local", real_time_runtime())
    assert isinstance(provider, Local)
    for _ in range(2):
        with pytest.raises(UpstreamBroken) as caught:
            await provider.send(ask())
        assert caught.value.code == "local_model_failed"
        assert str(tmp_path) not in caught.value.public
    with pytest.raises(UpstreamBroken) as caught:
        await provider.send(ask())
    assert caught.value.code == "local_model_died"
    assert caught.value.retry_after is not None, "the third start in a row has to wait"
    assert provider.pid is None
    await provider.aclose()


async def test_closing_while_it_loads_ends_the_child(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "server.py"
    path.write_text("import sys\nsys.stdin.read()\n")
    monkeypatch.setattr(local_process, "_SERVER", path)
    provider = LocalConfig(model_file=str(path)).build("local", real_time_runtime())
    assert isinstance(provider, Local)
    with pytest.raises(UpstreamTimeout):
        await provider.send(ask(seconds=0.5))
    pid = provider.pid
    assert pid is not None, "its first caller left, and it goes on loading"
    await provider.aclose()
    assert not psutil.pid_exists(pid)
    with pytest.raises(UpstreamBroken):
        await provider.send(ask())


@needs_model
@pytest.mark.slow
async def test_it_answers_with_real_text(local: Local) -> None:
    reply = await local.send(ask())
    assert isinstance(reply, Whole)
    answer = wire.decode(reply.body)
    assert len(answer["choices"][0]["message"]["content"]) > 10
    assert answer["model"] == "smollm2-135m-instruct"
    assert reply.usage is not None
    assert reply.usage.output == 16
    assert reply.answered.provider == "my-local"
    assert reply.answered.model == "local/smollm2"


@needs_model
@pytest.mark.slow
async def test_it_streams(local: Local) -> None:
    reply = await local.send(ask(stream=True))
    assert isinstance(reply, Stream)
    text = ""
    async for block in reply.blocks:
        for event in events(block):
            if event.data != b"[DONE]":
                choices = wire.decode(event.data)["choices"]
                text += (choices[0]["delta"].get("content") or "") if choices else ""
    assert len(text) > 10
    assert reply.tally.clean
    assert reply.tally.usage is not None
    assert reply.tally.usage.output == 16


@needs_model
@pytest.mark.slow
async def test_it_answers_anthropic_callers_in_their_dialect(local: Local) -> None:
    answer = await whole(local, ask(endpoint="messages"))
    assert answer["type"] == "message"
    assert len(answer["content"][0]["text"]) > 10
    assert answer["stop_reason"] == "max_tokens"


@needs_model
@pytest.mark.slow
async def test_requests_at_once_start_one_child_and_all_are_answered(local: Local) -> None:
    answers = await asyncio.gather(*(whole(local, ask(max_tokens=2)) for _ in range(3)))
    assert all(answer["choices"] for answer in answers)
    assert local.pid is not None
    mine = [p for p in psutil.Process().children() if "local/server.py" in " ".join(p.cmdline())]
    assert [p.pid for p in mine] == [local.pid]


@needs_model
@pytest.mark.slow
async def test_warming_loads_the_model_before_anybody_asks() -> None:
    config = LocalConfig(warmup=Warmup(prompt="Hi", model="smollm2", timeout=30))
    provider = config.build("local", real_time_runtime())
    assert isinstance(provider, Local)
    await provider.warm()
    assert provider.pid is not None
    await provider.aclose()


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
async def test_a_request_that_meets_the_death_may_be_retried_elsewhere(local: Local) -> None:
    await local.warm()
    pid = local.pid
    assert pid is not None
    asking = asyncio.ensure_future(local.send(ask(max_tokens=1500)))
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(UpstreamBroken) as caught:
        await asking
    assert caught.value.code == "local_model_died"
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
    with pytest.raises(UpstreamBroken) as caught:
        await local.send(ask())
    assert caught.value.code == "local_model_died"
    assert not psutil.pid_exists(pid)


@needs_model
@pytest.mark.slow
async def test_a_request_that_it_refuses_is_no_death(local: Local) -> None:
    with pytest.raises(UpstreamRefused):
        await local.send(ask("word " * 3000))
    pid = local.pid
    with pytest.raises(UpstreamBroken) as caught:
        await local.send(embedding())
    assert caught.value.code != "local_model_died"
    assert local.pid == pid


@needs_model
@pytest.mark.slow
async def test_strangers_on_this_machine_cannot_use_it(local: Local) -> None:
    await local.warm()
    assert local.pid is not None
    port = psutil.Process(local.pid).net_connections()[0].laddr.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (await reader.readline()).split()[1] == b"401"
    writer.close()
    await writer.wait_closed()


@needs_model
@pytest.mark.slow
async def test_the_child_sees_no_secret_and_listens_on_loopback_only(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    await local.warm()
    assert local.pid is not None
    child = psutil.Process(local.pid)
    assert child.environ() == {"LC_ALL": "C.UTF-8"}
    assert "req-" not in " ".join(child.cmdline()), "its key is not in the process list either"
    assert {c.laddr.ip for c in child.net_connections()} == {"127.0.0.1"}


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
