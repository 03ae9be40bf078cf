"""`--workers N`: one address, one /metrics, one /readyz, and whoever dies is replaced."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.commands.asking import ask
from gateway.commands.workers import lock, reserve, socket_path
from gateway.edge.listening import CannotStart
from gateway.settings import Address
from tests.fakes.gateway import write_config
from tests.fakes.process import Process, command, connection, serving, until

SLOW: Mapping[str, Any] = {
    "simulated": {
        "kind": "simulated",
        "latency": {"law": "fixed", "first_token": 0.05, "gap": 0.02},
        "answer_tokens": 40,
    }
}
BODY = b'{"model":"simulated/demo","messages":[{"role":"user","content":"Hello!"}]}'
STREAM = BODY[:-1] + b',"stream":true}'
JSON = {"content-type": "application/json"}


def pids(process: Process) -> list[int]:
    return [worker["pid"] for worker in process.readiness()["workers"]]


def restarted(process: Process, times: int) -> bool:
    return bool(process.readiness()["workers"][1]["restarts"] == times)


def all_restarted(process: Process, times: int) -> bool:
    return all(worker["restarts"] == times for worker in process.readiness()["workers"])


def await_ready(process: Process) -> None:
    until(lambda: bool(process.readiness()["ready"]), process)


def post(process: Process) -> int:
    with connection(process.port) as client:
        client.request("POST", "/v1/chat/completions", BODY, JSON)
        response = client.getresponse()
        response.read()
        return response.status


def test_workers_know_the_addresses_of_the_command_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        taken = f"127.0.0.1:{probe.getsockname()[1]}"
    write_config(tmp_path, settings={"admin": taken})
    with serving(
        tmp_path, "--workers", "2", "--listen", taken, "--admin", "127.0.0.1:0"
    ) as process:
        await_ready(process)
        assert post(process) == 200


def test_metrics_of_all_workers_are_added_up(tmp_path: Path) -> None:
    write_config(tmp_path)
    with serving(tmp_path, "--workers", "2") as process:
        await_ready(process)
        assert [post(process) for _ in range(20)] == [200] * 20
        _, metrics = process.get("/metrics", admin=True)
        (total,) = [line for line in metrics.splitlines() if line.startswith(b"turnout_requests_t")]
        assert total.endswith(b" 20.0")
        assert b"turnout_worker_restarts_total 0" in metrics
        assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
        process.running.send_signal(signal.SIGTERM)
        assert process.end() == 0


def total(process: Process) -> float:
    """What all workers say that they have served, 0 before the first request."""
    _, metrics = process.get("/metrics", admin=True)
    lines = [line for line in metrics.splitlines() if line.startswith(b"turnout_requests_total{")]
    return sum(float(line.rpartition(b" ")[2]) for line in lines)


def test_no_counter_falls_when_a_worker_dies(tmp_path: Path) -> None:
    """A sum that falls looks like a restart of the whole gateway to whoever watches it."""
    write_config(tmp_path)
    with serving(tmp_path, "--workers", "2") as process:
        await_ready(process)
        served = 0
        for death in range(1, 3):
            assert [post(process) for _ in range(10)] == [200] * 10
            served += 10
            assert total(process) == served
            for pid in pids(process):
                os.kill(pid, signal.SIGKILL)
            assert total(process) == served
            until(partial(all_restarted, process, death), process)
            await_ready(process)
            assert total(process) == served
        assert post(process) == 200
        assert total(process) == served + 1


def test_i09_a_killed_worker_is_replaced_while_its_peer_serves(tmp_path: Path) -> None:
    write_config(tmp_path)
    with serving(tmp_path, "--workers", "2") as process:
        await_ready(process)
        before = pids(process)
        os.kill(before[0], signal.SIGSEGV)
        killed = time.monotonic()
        until(lambda: not process.readiness()["ready"], process)
        assert [post(process) for _ in range(10)] == [200] * 10
        await_ready(process)
        sys.stdout.write(f"replaced after {time.monotonic() - killed:.2f} s\n")
        after = pids(process)
        assert after[0] != before[0]
        assert after[1] == before[1]
        assert process.readiness()["workers"][0]["restarts"] == 1
        died = [event for event in process.events() if event["event"] == "a worker died"]
        assert [(event["worker"], event["code"]) for event in died] == [(0, -signal.SIGSEGV)]


def test_i09_a_crash_loop_backs_off(tmp_path: Path) -> None:
    write_config(tmp_path)
    with serving(tmp_path, "--workers", "2") as process:
        await_ready(process)
        for crashes in range(1, 4):
            until(lambda: pids(process)[1] is not None, process)
            os.kill(pids(process)[1], signal.SIGKILL)
            until(partial(restarted, process, crashes), process)
            await_ready(process)
        pauses = [event["restart_in"] for event in process.events() if "restart_in" in event]
        assert pauses == [0.1, 0.2, 0.4]


def test_i01_sigterm_drains_every_worker(tmp_path: Path) -> None:
    write_config(tmp_path, providers=SLOW)
    ends: list[bytes] = []
    with serving(tmp_path, "--workers", "2") as process:
        await_ready(process)
        begun = threading.Barrier(9)

        def read() -> None:
            with connection(process.port) as client:
                client.request("POST", "/v1/chat/completions", STREAM, JSON)
                response = client.getresponse()
                response.readline()
                begun.wait(30)
                ends.append(response.read().rstrip()[-12:])

        readers = [threading.Thread(target=read) for _ in range(8)]
        for reader in readers:
            reader.start()
        begun.wait(30)
        process.running.send_signal(signal.SIGTERM)
        for reader in readers:
            reader.join(30)
        assert ends == [b"data: [DONE]"] * 8
        assert process.end() == 0


def test_i01_a_second_signal_ends_all_of_them_at_once(tmp_path: Path) -> None:
    slow = {"simulated": {**SLOW["simulated"], "answer_tokens": 5_000}}
    write_config(tmp_path, providers=slow)
    with serving(tmp_path, "--workers", "2") as process, connection(process.port) as client:
        await_ready(process)
        workers = pids(process)
        client.request("POST", "/v1/chat/completions", STREAM, JSON)
        client.getresponse().readline()
        process.running.send_signal(signal.SIGTERM)
        until(lambda: not process.readiness()["ready"], process)
        process.running.send_signal(signal.SIGTERM)
        process.end()
        assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]


def test_workers_end_with_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    write_config(tmp_path)
    with serving(tmp_path, "--workers", "2") as process:
        await_ready(process)
        workers = pids(process)
        process.running.kill()
        process.end()
        end = time.monotonic() + 20
        while any(_running(pid) for pid in workers):
            assert time.monotonic() < end
            time.sleep(0.02)


def _running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_i12_a_second_supervisor_on_the_same_data_is_refused(tmp_path: Path) -> None:
    write_config(tmp_path)
    data = tmp_path / "data"
    with lock(data):
        result = subprocess.run(
            command(tmp_path, "--workers", "2", "--data", str(data)),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert result.returncode == 2
    assert result.stderr == (
        f"turnout cannot start: {data} is in use by another gateway. Choose --data.\n"
    )


def test_i05_a_data_directory_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(CannotStart, match=r"cannot be written: .* Choose --data"),
        lock(tmp_path / "file/data"),
    ):
        pass


def test_a_path_that_is_too_long_for_a_socket_says_so(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="too long a path"):
        socket_path(tmp_path / ("x" * 100), 0)


def test_a_reserved_port_is_ours_alone_until_workers_share_it() -> None:
    with reserve(Address("127.0.0.1", 0)) as held:
        with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
            stranger.bind(("127.0.0.1", held.port))
        with socket.socket() as worker:
            worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            worker.bind(("127.0.0.1", held.port))
            worker.listen()
            with pytest.raises(OSError, match="in use"), reserve(held):
                pass


def test_a_port_may_be_reserved_beside_connections_that_have_not_ended() -> None:
    with socket.create_server(("127.0.0.1", 0)) as before:
        port = before.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        before.accept()[0].close()  # the client does not close its end: FIN-WAIT-2
    with client, reserve(Address("127.0.0.1", port)):
        with pytest.raises(OSError, match="in use"):
            socket.create_server(("127.0.0.1", port))
        with socket.socket() as worker:
            worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            worker.bind(("127.0.0.1", port))
            worker.listen()


async def test_a_worker_that_is_not_there_answers_nothing(tmp_path: Path) -> None:
    assert await ask(str(tmp_path / "none.sock"), "/readyz") == (0, b"")
