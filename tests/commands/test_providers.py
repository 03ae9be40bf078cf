"""`turnout providers` shows what a running gateway has learnt."""

import asyncio
import socket
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from gateway.__main__ import main
from gateway.commands.providers import table
from gateway.core import wire
from gateway.core.health import Health
from tests.fakes.gateway import open_test_gateway, write_config
from tests.fakes.raw_client import connect, post

PIPELINE = [{"stage": "failover", "targets": [{"model": "simulated/demo"}]}]
TOKEN = "an-operators-token"


def health() -> Health:
    """One target that is well, and one that is left alone."""
    found = Health(Random(0))
    well = found.condition("acme", "small")
    for _ in range(30):
        well.answered(100, "acme", None, 0.5, first_token=True)
    found.condition("other", "large").breaker.trip(100)
    found.budget(frozenset({"acme", "other"}), 100)
    return found


def test_the_table_shows_breakers_speed_and_the_budget() -> None:
    lines = table(wire.decode(wire.encode(health().report(101))))
    assert lines[0].split()[:3] == ["PROVIDER", "MODEL", "STATE"]
    assert lines[1].split() == [
        *("acme", "small", "closed", "-", "-", "good", "0"),
        *("0.50", "0.51", "0.51", "1.54", "0.886"),
    ]
    assert lines[2].split()[:3] == ["other", "large", "open"]
    assert lines[3] == "retries among acme,other: 20.0 left, 0 granted, 0 refused"


def test_each_worker_has_a_table_of_its_own() -> None:
    report = {"worker": 0, **health().report(101), "suspects": 2}
    empty = {"worker": 1, "targets": [], "budgets": [], "orders": [], "suspects": 0}
    lines = table(wire.decode(wire.encode({"workers": [report, empty]})))
    assert (lines[0], lines[5]) == ("worker 0", "requests under suspicion: 2")
    assert lines[7:9] == [
        "worker 1",
        "No policy has a `failover` stage, or none that met a request yet.",
    ]


async def test_a_running_gateway_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOKEN", TOKEN)
    settings = {"admin_token": "env:TOKEN"}
    write_config(tmp_path, settings=settings)
    arguments = ["--config", str(tmp_path / "config"), "--policies", str(tmp_path / "policies")]
    async with open_test_gateway({"TOKEN": TOKEN}, settings=settings, pipeline=PIPELINE) as gateway:
        async with connect(gateway.gateway.port) as client:
            body = b'{"model":"simulated/demo","messages":[{"role":"user","content":"hi"}]}'
            answer = await client.ask(post(body, "/v1/chat/completions"))
        assert answer.headers["x-turnout-route"] == "ordered"
        async with connect(gateway.gateway.admin_port) as client:
            text = (await client.ask(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")).body.decode()
        at = f"127.0.0.1:{gateway.gateway.admin_port}"
        command = ["providers", *arguments, "--admin", at]
        assert await asyncio.to_thread(main, command) == 0
        assert await asyncio.to_thread(main, [*command, "--format", "json"]) == 0
        monkeypatch.setenv("TOKEN", "another")
        assert await asyncio.to_thread(main, command) == 1
    shown = capsys.readouterr()
    assert "simulated  simulated/demo  closed" in shown.out
    assert '"success_bound"' in shown.out
    assert "answers 401" in shown.err
    state = 'turnout_target_state{model="simulated/demo",provider="simulated",state="closed"} 1.0'
    assert state in text
    assert 'turnout_retries_total{providers="simulated",result="granted"} 0.0' in text


def test_without_a_gateway_or_a_token_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOKEN", TOKEN)
    write_config(tmp_path)
    arguments = ["--config", str(tmp_path / "config"), "--policies", str(tmp_path / "policies")]
    assert main(["providers", *arguments]) == 1
    assert "/admin is off" in capsys.readouterr().err
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        at = f"127.0.0.1:{taken.getsockname()[1]}"
        config = tmp_path / "config/gateway.yaml"
        config.write_text(
            f"admin: {at}\nadmin_token: env:TOKEN\nproviders: {{simulated: {{kind: simulated}}}}\n"
        )
        assert main(["providers", *arguments]) == 1
    assert f"no gateway answers at {at}" in capsys.readouterr().err
