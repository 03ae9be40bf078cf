"""Several workers agree on one version, however the files are changed."""

import http.client
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.gateway import write_config
from tests.fakes.process import Process, connection, serving, until

WORKERS = 3
TOKEN = "operator-token"


@contextmanager
def fleet(home: Path) -> Iterator[Process]:
    write_config(home, settings={"admin_token": "env:TOKEN"})
    (home / "policies/tenants.yaml").write_text(tenants("one"))
    with serving(home, "--workers", str(WORKERS), environment={"TOKEN": TOKEN}) as process:
        until(lambda: bool(process.readiness()["ready"]), process)
        yield process


def tenants(team: str) -> str:
    return f"tenants:\n  local:\n    labels: {{team: {team}}}\n"


def versions(process: Process) -> set[str]:
    workers = process.readiness()["workers"]
    return {worker["policies"]["version"] for worker in workers if "policies" in worker}


def reload(process: Process) -> tuple[int, Any]:
    with connection(process.admin_port) as client:
        client.request("POST", "/admin/reload", headers={"authorization": f"Bearer {TOKEN}"})
        response: http.client.HTTPResponse = client.getresponse()
        return response.status, json.loads(response.read())


def in_place(path: Path) -> None:
    path.write_text(tenants("two"))


def by_rename(path: Path) -> None:
    path.with_suffix(".new").write_text(tenants("two"))
    path.with_suffix(".new").rename(path)


def by_link(path: Path) -> None:
    path.with_suffix(".real").write_text(tenants("two"))
    path.with_suffix(".link").symlink_to(path.with_suffix(".real"))
    path.with_suffix(".link").rename(path)


def in_halves(path: Path) -> None:
    """The first half is a right file by itself, of another content."""
    with path.open("w") as file:
        file.write("tenants:\n  local:\n")
        file.flush()
        time.sleep(0.3)
        file.write("    labels: {team: two}\n")


@pytest.mark.parametrize("change", [in_place, by_rename, by_link, in_halves])
def test_h06_all_workers_come_to_the_same_version(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    with fleet(tmp_path) as process:
        (old,) = versions(process)
        change(tmp_path / "policies/tenants.yaml")
        changed = time.monotonic()
        seen = {old}

        def agreed() -> bool:
            now = versions(process)
            seen.update(now)
            return len(now) == 1 and old not in now

        until(agreed, process)
        sys.stdout.write(
            f"{change.__name__}: {WORKERS} workers agree after {time.monotonic() - changed:.2f} s\n"
        )
        assert len(seen) == 2
        _, metrics = process.get("/metrics", admin=True)
        (new,) = versions(process)
        assert f'turnout_config_version{{version="{new}"}} {WORKERS}.0'.encode() in metrics
        assert b"turnout_config_ok 1.0" in metrics


def test_a_reload_of_all_workers_says_what_each_came_to(tmp_path: Path) -> None:
    with fleet(tmp_path) as process:
        (tmp_path / "policies/tenants.yaml").write_text(tenants("two"))
        status, done = reload(process)
        assert (status, done["ok"]) == (200, True)
        assert [worker["worker"] for worker in done["workers"]] == [0, 1, 2]
        assert {worker["version"] for worker in done["workers"]} == {done["version"]}
        (tmp_path / "policies/tenants.yaml").write_text("tenants: 3\n")
        status, done = reload(process)
        assert (status, done["ok"]) == (422, False)
        assert ["must be a mapping" in each["text"] for each in done["problems"]] == [True]
        for worker in done["workers"]:
            assert "must be a mapping" in worker["problems"][0]["text"]
        _, metrics = process.get("/metrics", admin=True)
        assert b"turnout_config_ok 0.0" in metrics


def test_the_supervisor_passes_sighup_on(tmp_path: Path) -> None:
    with fleet(tmp_path) as process:
        os.kill(process.running.pid, signal.SIGHUP)
        (old,) = versions(process)
        (tmp_path / "policies/tenants.yaml").write_text(tenants("two"))
        os.kill(process.running.pid, signal.SIGHUP)
        until(lambda: old not in versions(process), process)
        assert process.running.poll() is None
        assert all(worker["restarts"] == 0 for worker in process.readiness()["workers"])
