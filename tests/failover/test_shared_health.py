"""What one worker or node finds out about a target, over real processes: all leave it alone."""

import http.client
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.gateway import write_config
from tests.fakes.operator import TOKEN, ask
from tests.fakes.process import Process, connection, serving, until
from tests.fakes.redis_server import redis_server

BAR = 1.0
"""Seconds in which an opening must be known everywhere."""
PROVIDERS = {
    "gone": {"kind": "simulated", "outage": "always"},
    "busy": {"kind": "simulated", "rate_limit": {"requests": 1}},
    "well": {"kind": "simulated", "answer_tokens": 3},
}
FREE = {"price": {"input": 0, "output": 0}}
MODELS = {name: {"provider": name, **FREE} for name in PROVIDERS}
PIPELINE: list[dict[str, Any]] = [
    {"stage": "failover", "when": {"model": ["gone"]}, "targets": [{"model": "gone"}]},
    {
        "stage": "failover",
        "when": {"model": ["busy"]},
        "targets": [{"model": "busy"}, {"model": "well"}],
    },
    {"stage": "relay"},
]


@contextmanager
def gateways(store: str, home: Path) -> Iterator[list[Process]]:
    """Two workers on SQLite, or two nodes on Redis."""
    settings: dict[str, Any] = {"admin_token": "env:TOKEN"}
    environment = {**os.environ, "TOKEN": TOKEN}
    with ExitStack() as stack:
        homes, workers = [home / "one"], "2"
        if store == "redis":
            server = stack.enter_context(redis_server())
            environment |= {"REDIS_URL": server.url, "PEPPER": "one pepper for all the nodes"}
            state = {"kind": "redis", "url": "env:REDIS_URL", "timeout": 1}
            settings |= {"state": state, "pepper": "env:PEPPER"}
            homes, workers = [home / "one", home / "two"], "1"
        nodes = []
        for each in homes:
            each.mkdir()
            write_config(
                each,
                providers=PROVIDERS,
                models=MODELS,
                settings=settings,
                pipeline=PIPELINE,
            )
            running = serving(each, "--workers", workers, environment=environment)
            nodes.append(stack.enter_context(running))
        for node in nodes:
            until(lambda node=node: bool(node.readiness()["ready"]), node)  # type: ignore[misc]  # mypy cannot infer it
        yield nodes


def post(client: http.client.HTTPConnection, model: str, number: int) -> tuple[int, str | None]:
    """Ask on one connection, and so one worker; return the status and who answered."""
    asked = {"model": model, "messages": [{"role": "user", "content": f"Question {number}"}]}
    head = {"content-type": "application/json"}
    client.request("POST", "/v1/chat/completions", json.dumps(asked), head)
    answer = client.getresponse()
    answer.read()
    return answer.status, answer.getheader("x-turnout-provider")


def seen(nodes: list[Process], provider: str) -> list[dict[str, Any]]:
    """Return how each process sees a target."""
    found = []
    for node in nodes:
        _, report = ask(node, "GET", "providers")
        for each in report.get("workers", [report]):
            found += [target for target in each["targets"] if target["provider"] == provider]
    return found


def everywhere(nodes: list[Process], provider: str, so: Callable[[dict[str, Any]], bool]) -> float:
    """Wait until some process sees it so, then return the seconds until both do."""
    until(lambda: any(map(so, seen(nodes, provider))), nodes[0])
    first = time.monotonic()
    until(lambda: len(found := seen(nodes, provider)) == 2 and all(map(so, found)), nodes[0])
    return time.monotonic() - first


@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_a_target_that_one_process_finds_down_or_busy_is_left_alone_by_the_other(
    store: str, tmp_path: Path
) -> None:
    with gateways(store, tmp_path) as nodes:
        assert [each["breaker"] for each in seen(nodes, "gone")] == ["closed", "closed"]
        with connection(nodes[0].port) as client:
            assert post(client, "busy", 1) == (200, "busy")
            assert post(client, "busy", 2) == (200, "well")
            assert [post(client, "gone", n)[0] for n in range(20)] == [502] * 20
        assert everywhere(nodes, "gone", lambda each: each["breaker"] == "open") <= BAR
        assert everywhere(nodes, "busy", lambda each: each["paused_for"] > 1) <= BAR
        for node in nodes:
            for number in range(30, 36):
                with connection(node.port) as client:
                    assert post(client, "gone", number)[0] in {502, 503}
                    assert post(client, "busy", number) == (200, "well")
        for target in ("gone", "busy"):
            tries = min(each["tries"] for each in seen(nodes, target))
            assert tries <= 1, "on a slow machine its own probe, else hearsay alone"
