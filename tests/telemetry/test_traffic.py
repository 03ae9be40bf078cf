"""The traffic log: lines behind everybody's back, masked, bounded, and counted when lost."""

import json
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from gateway.core.traffic import VERSION, Keep, Record, Seen, Timing
from gateway.telemetry.redact import Redactor
from gateway.telemetry.traffic import Traffic, open_traffic
from gateway.telemetry.traffic_files import TrafficFiles

KEEP = Keep(days=7, size=10_000_000)
NOW = 1_795_000_000.0
SECRET = "provider-secret-1"


def record(**changed: Any) -> Record:
    facts: dict[str, Any] = {
        "id": "req-1",
        "at": NOW,
        "tenant": "alice",
        "key": "0a1b2c3d",
        "labels": {"team": "ml"},
        "policy": "default",
        "version": "v",
        "endpoint": "chat",
        "headers": {"x-app": f"mine {SECRET}"},
        "status": 200,
        "code": "",
        "verdicts": (),
        "cache": None,
        "route": "named",
        "tried": (),
        "usage": None,
        "micro_dollars": None,
        "timing": Timing(1.5, None, 1.0, 0.0),
    }
    return Record(**{**facts, **changed})


def seen(request: Any = None, **more: Any) -> Seen:
    body = json.dumps(request or {"model": "m", "messages": []}).encode()
    return Seen(record(), KEEP, body, **more)


def masked(value: Any, rest: Callable[[], object]) -> Any:
    redactor = Redactor()
    redactor.register(SECRET)
    return redactor.masked(value, rest)


def lines(root: Path) -> list[Any]:
    found = sorted(root.rglob("*.jsonl"))
    return [json.loads(line) for path in found for line in path.read_text().splitlines()]


def traffic(tmp_path: Path, **options: Any) -> Traffic:
    return Traffic(TrafficFiles(tmp_path, "w1"), masked, lambda: NOW, **options)


def test_a_line_says_all_that_is_documented(tmp_path: Path) -> None:
    log = traffic(tmp_path)
    log.put(seen({"model": "m", "messages": [{"role": "user", "content": "Hi"}]}))
    log.close(10)
    (line,) = lines(tmp_path)
    assert line == {
        "v": VERSION,
        "id": "req-1",
        "at": NOW,
        "tenant": "alice",
        "key": "0a1b2c3d",
        "labels": {"team": "ml"},
        "policy": "default",
        "version": "v",
        "endpoint": "chat",
        "headers": {"x-app": "mine ***"},
        "betas": [],
        "api_version": "",
        "drop_params": False,
        "max_cost": None,
        "deadline_ms": None,
        "request": {"model": "m", "messages": [{"role": "user", "content": "Hi"}]},
        "status": 200,
        "code": "",
        "verdicts": [],
        "cache": None,
        "route": "named",
        "tried": [],
        "usage": None,
        "micro_dollars": None,
        "timing": {"total_ms": 1.5, "first_ms": None, "upstream_ms": 1.0, "queue_ms": 0.0},
        "answer": None,
    }


def test_secrets_are_masked_wherever_they_stand_and_nothing_else_is_cut(tmp_path: Path) -> None:
    long = "word " * 10_000
    asked = {
        "messages": [{"content": f"{long} {SECRET} sk-abcdefghijklmnop"}],
        "tools": [{"password": "hunter2", "n": 7}],
    }
    log = traffic(tmp_path)
    log.put(seen(asked, answer=[json.dumps({"text": f"say {SECRET}"}).encode()]))
    log.close(10)
    (line,) = lines(tmp_path)
    assert line["request"]["messages"][0]["content"] == f"{long} *** sk-***"
    assert line["request"]["tools"] == [{"password": "***", "n": 7}]
    assert line["answer"] == {"text": "say ***"}


def test_a_streams_answer_is_put_together(tmp_path: Path) -> None:
    chunk = {"id": "c", "choices": [{"index": 0, "delta": {"content": "Yes."}}]}
    last = {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    blocks = [f"data: {json.dumps(each)}\n\n".encode() for each in (chunk, last)]
    log = traffic(tmp_path)
    log.put(seen(answer=[*blocks, b"data: [DONE]\n\n"], stream=True))
    log.put(seen(answer=[b"data: {no json\n\n"], stream=True))
    log.close(10)
    first, second = lines(tmp_path)
    assert first["answer"]["choices"][0]["message"]["content"] == "Yes."
    assert second["answer"] is None


def test_what_there_is_no_room_for_is_lost_and_counted(tmp_path: Path) -> None:
    stuck, go = Event(), Event()

    def slow(value: Any, _rest: object) -> Any:
        stuck.set()
        assert go.wait(10)
        return value

    log = Traffic(TrafficFiles(tmp_path, "w1"), slow, lambda: NOW, size=3)
    log.put(seen())
    assert stuck.wait(10)
    for _ in range(5):
        log.put(seen())
    log.put(seen({"x": "y" * (33 << 20)}))
    log.too_large()
    go.set()
    log.close(10)
    assert log.counts == {"written": 4, "lost": 3, "large": 1, "failed": 0}
    assert len(lines(tmp_path)) == 4


def test_bytes_are_bounded_as_lines_are(tmp_path: Path) -> None:
    log = traffic(tmp_path)
    log.put(seen({"x": "y" * (33 << 20)}))
    log.close(10)
    assert log.counts["lost"] == 1


def test_a_folder_that_cannot_be_written_costs_lines_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "default").write_text("in the way")
    log = traffic(tmp_path)
    log.put(seen())
    log.close(10)
    assert log.counts["failed"] == 1


def test_one_line_that_cannot_be_made_costs_no_other(tmp_path: Path) -> None:
    log = traffic(tmp_path)
    log.put(Seen(record(), KEEP, b"no json"))
    log.put(seen())
    log.close(10)
    assert log.counts["failed"] == 1
    assert len(lines(tmp_path)) == 1


def test_what_is_too_much_is_deleted_as_it_is_written(tmp_path: Path) -> None:
    moment = NOW

    def wall() -> float:
        nonlocal moment
        moment += 3600
        return moment

    log = Traffic(TrafficFiles(tmp_path, "w1"), masked, wall)
    small = Keep(days=90, size=20_000)
    for number in range(60):
        log.put(Seen(record(tenant=f"t{number}"), small, b'{"x": "%b"}' % (b"y" * 900)))
    log.close(10)
    assert log.counts["written"] == 60
    assert 10_000 < sum(path.stat().st_size for path in tmp_path.rglob("*.jsonl")) <= 20_000


def test_old_files_go_though_nobody_records_any_more(tmp_path: Path) -> None:
    TrafficFiles(tmp_path, "w0").append("p", "t", Keep(1, 10**9), b"x\n", NOW - 90_000)
    traffic(tmp_path).close(10)
    assert list(tmp_path.rglob("*.jsonl")) == []


async def test_what_is_queued_is_written_before_the_end(tmp_path: Path) -> None:
    async with open_traffic(tmp_path, masked, lambda: NOW, "w1") as log:
        log.put(seen())
    assert len(lines(tmp_path / "traffic")) == 1


@pytest.mark.parametrize("what", ["written", "lost", "large", "failed"])
def test_metrics_tell_what_became_of_lines(tmp_path: Path, what: str) -> None:
    log = traffic(tmp_path)
    log.counts[what] = 3
    log.close(10)
    (family,) = log.collect()
    assert {s.labels["what"]: s.value for s in family.samples}[what] == 3
