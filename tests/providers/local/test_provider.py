"""The local provider with its real model; without the packages only its refusals are tested."""

import asyncio
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from gateway.core import wire
from gateway.core.catalogue import Target
from gateway.core.chat import parse_request
from gateway.core.errors import (
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
from tests.fakes.local_model import MODEL, ask, needs_model, whole
from tests.fakes.runtime import real_time_runtime


def embedding() -> Call:
    request = parse_request("embeddings", b'{"model":"m","input":"x"}')
    return Call("req-1", request, Target(MODEL), time.monotonic() + 20)


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
    reply = await local.send(ask(ignore_eos=True))
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
    reply = await local.send(ask(stream=True, ignore_eos=True))
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
    assert answer["stop_reason"] in {"max_tokens", "end_turn"}


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
@pytest.mark.parametrize(
    ("limit", "length"),
    [({}, 5), ({"max_tokens": 7}, 7), ({"max_completion_tokens": 8, "max_tokens": None}, 8)],
)
async def test_an_answer_is_bounded_though_its_caller_names_no_limit(
    limit: dict[str, Any], length: int
) -> None:
    """Left alone, the model rambles to the end of its context now and then: 2,012 tokens, 50 s."""
    provider = LocalConfig(max_tokens=5).build("local", real_time_runtime())
    assert isinstance(provider, Local)
    reply = await provider.send(ask(**{"max_tokens": None, "ignore_eos": True, **limit}))
    assert isinstance(reply, Whole)
    assert reply.usage is not None
    assert reply.usage.output == length
    await provider.aclose()


@needs_model
@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
async def test_a_caller_who_leaves_sets_the_model_free(local: Local, stream: bool) -> None:
    """It works on one request at a time, so an abandoned one would hold up all others."""
    await local.warm()
    started = time.monotonic()
    long = ask("Tell me a story.", max_tokens=1800, ignore_eos=True, stream=stream)
    asking = asyncio.ensure_future(local.send(long))
    if stream:
        reply = await asking
        assert isinstance(reply, Stream)
        await reply.blocks.aclose()
    else:
        await asyncio.sleep(0.3)
        asking.cancel()
        await asyncio.wait([asking])
    await whole(local, ask(max_tokens=2))
    assert time.monotonic() - started < 10, "1,800 tokens take 15 seconds and more"


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
