"""Starting a child process, and every way in which that can go wrong."""

import asyncio
import sys
from pathlib import Path

import psutil
import pytest

from gateway.core.errors import Retry, UpstreamBroken
from gateway.providers.local import process as local_process
from gateway.providers.local.process import Launch, launch, settled
from gateway.runtime import SystemClock
from tests.fakes.clock import FakeClock, settle

CLOCK = SystemClock()


def child_that(does: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Launch:
    path = folder / "server.py"
    path.write_text(f"import os, sys\n{does}\n")
    monkeypatch.setattr(local_process, "_SERVER", path)
    return Launch(folder / "Some-Model.Q4_1.gguf", 512, 1)


def test_the_models_name_in_answers_is_no_path() -> None:
    assert Launch(Path("/models/Some-Model.Q4_1.gguf"), 512, 1).alias == "some-model"


async def test_a_child_gets_its_key_by_pipe_and_says_its_port(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    what = child_that(
        "key = sys.stdin.readline()\n"
        "bad = 'hunter2' in ' '.join(sys.argv) or 'SECRET' in os.environ or len(sys.argv) != 5\n"
        "print('ready 4711' if key == 'hunter2\\n' and not bad else 'failed', flush=True)\n"
        "sys.stdin.read()",
        tmp_path,
        monkeypatch,
    )
    monkeypatch.setenv("SECRET", "hunter3")
    child = await launch(what)
    assert await child.listen("hunter2", 20, CLOCK) == 4711
    assert not child.ended.done()
    child.kill()
    await child.wait()
    await child.wait()
    child.kill()
    assert child.ended.done()
    assert not psutil.pid_exists(child.pid)


async def test_a_child_that_fails_is_quoted_for_the_log_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    child = await launch(child_that("print('failed no luck')", tmp_path, monkeypatch))
    with pytest.raises(UpstreamBroken) as caught:
        await child.listen("key", 20, CLOCK)
    error = caught.value
    assert (error.code, error.retry) == ("local_model_failed", Retry.OTHER)
    assert error.detail == "no luck"
    assert "no luck" not in error.public
    assert not psutil.pid_exists(child.pid)


@pytest.mark.parametrize("does", ["raise SystemExit(3)", "os.abort()", "os.close(0)"])
async def test_a_child_that_ends_without_a_word_is_a_failure(
    does: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    child = await launch(child_that(does, tmp_path, monkeypatch))
    with pytest.raises(UpstreamBroken, match="it ended"):
        await child.listen("key", 20, CLOCK)


async def test_a_child_that_never_gets_ready_is_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    child = await launch(child_that("sys.stdin.read()", tmp_path, monkeypatch))
    with pytest.raises(UpstreamBroken, match=r"longer than 0\.2 s"):
        await child.listen("key", 0.2, CLOCK)
    assert not psutil.pid_exists(child.pid)


async def test_who_stops_waiting_ends_the_child(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    child = await launch(child_that("sys.stdin.read()", tmp_path, monkeypatch))
    waiting = asyncio.ensure_future(child.listen("key", 60, CLOCK))
    await settle()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await child.wait()


async def test_a_child_that_cannot_be_started_at_all_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with pytest.raises(UpstreamBroken) as caught:
        await launch(Launch(tmp_path / "m.gguf", 512, 1))
    assert caught.value.code == "local_model_failed"


async def test_waiting_for_a_future_ends_with_it_or_with_the_clock() -> None:
    clock = FakeClock()
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    waiting = asyncio.ensure_future(settled(future, clock.now + 5, clock))
    await clock.advance(5)
    assert await waiting is False
    waiting = asyncio.ensure_future(settled(future, clock.now + 5, clock))
    await settle()
    future.set_result(None)
    assert await waiting is True
    assert await settled(future, clock.now, clock) is True
