"""`turnout serve` as a process: start, drain, insist, and clear words when it cannot start."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from gateway.__main__ import main
from tests.fakes.gateway import write_config
from tests.fakes.process import Process, command, connection, serving, until

SLOW: Mapping[str, Any] = {
    "simulated": {
        "kind": "simulated",
        "latency": {"law": "fixed", "first_token": 0.05, "gap": 0.02},
        "answer_tokens": 40,
    }
}
STREAM = b'{"model":"simulated/demo","stream":true,"messages":[{"role":"user","content":"Hello!"}]}'
MESSAGE_STREAM = STREAM.replace(b'"stream"', b'"max_tokens":8000,"stream"')
JSON = {"content-type": "application/json"}


def run(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(home, *arguments), capture_output=True, text=True, timeout=30, check=False, cwd=home
    )


def test_it_serves_and_says_where(tmp_path: Path) -> None:
    write_config(tmp_path)
    started = time.monotonic()
    with serving(tmp_path) as process:
        status, _ = process.get("/livez")
        sys.stdout.write(f"cold start to the first answer: {time.monotonic() - started:.2f} s\n")
        assert status == 200
        assert process.get("/livez", admin=True)[0] == 200
        process.running.send_signal(signal.SIGTERM)
        assert process.end() == 0
    assert [event["event"] for event in process.events()][-2:] == ["draining", "stopped"]
    data = tmp_path / "data"
    assert data.stat().st_mode & 0o777 == 0o700
    for file in (data / "limits.db", data / "ledger.db"):
        assert file.stat().st_mode & 0o777 == 0o600


def test_i05_data_that_cannot_be_written_is_named_with_the_cure(tmp_path: Path) -> None:
    write_config(tmp_path)
    (tmp_path / "data").write_text("not a directory")
    result = run(tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("turnout cannot start: data/limits.db cannot be used: ")
    assert result.stderr.endswith("Mend it, or choose --data.\n")


def test_workers_that_would_count_each_for_itself_are_refused(tmp_path: Path) -> None:
    write_config(tmp_path, settings={"state": {"kind": "memory"}})
    result = run(tmp_path, "--workers", "2")
    assert result.returncode == 2
    assert "Choose `kind: sqlite` in gateway.yaml, or --workers 1." in result.stderr


def test_i01_sigterm_lets_a_stream_end_and_then_exits_0(tmp_path: Path) -> None:
    write_config(tmp_path, providers=SLOW)
    with serving(tmp_path) as process, connection(process.port) as client:
        client.request("POST", "/v1/chat/completions", STREAM, JSON)
        response = client.getresponse()
        first = response.readline()
        process.running.send_signal(signal.SIGTERM)
        until(lambda: any(event["event"] == "draining" for event in process.events()), process)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", process.port))
        rest = response.read()
        assert first.startswith(b"data: ")
        assert rest.rstrip().endswith(b"data: [DONE]")
        assert process.end() == 0


@pytest.mark.slow
def test_i01_a_drain_that_takes_too_long_ends_the_stream_with_an_error_event(
    tmp_path: Path,
) -> None:
    slow = {"simulated": {**SLOW["simulated"], "answer_tokens": 5_000}}
    write_config(tmp_path, providers=slow, settings={"limits": {"drain": 0.2}})
    with serving(tmp_path) as process, connection(process.port) as client:
        client.request("POST", "/v1/chat/completions", STREAM, JSON)
        response = client.getresponse()
        response.readline()
        process.running.send_signal(signal.SIGTERM)
        rest = response.read()
        assert b'"error"' in rest
        assert b"[DONE]" not in rest
        assert process.end() == 0


def test_i01_a_second_signal_ends_it_at_once_and_tells_everybody_who_waits(tmp_path: Path) -> None:
    slow = {"simulated": {**SLOW["simulated"], "answer_tokens": 5_000}}
    write_config(tmp_path, providers=slow)
    with (
        serving(tmp_path) as process,
        connection(process.port) as chat,
        connection(process.port) as messages,
        connection(process.port) as whole,
    ):
        chat.request("POST", "/v1/chat/completions", STREAM, JSON)
        answer = chat.getresponse()
        answer.readline()
        messages.request("POST", "/v1/messages", MESSAGE_STREAM, JSON)
        message = messages.getresponse()
        message.readline()
        whole.request("POST", "/v1/chat/completions", STREAM.replace(b"true", b"false"), JSON)
        until(
            lambda: b"\nturnout_requests_in_flight 3" in process.get("/metrics", admin=True)[1],
            process,
        )
        process.running.send_signal(signal.SIGINT)
        until(lambda: any(event["event"] == "draining" for event in process.events()), process)
        insisted = time.monotonic()
        process.running.send_signal(signal.SIGINT)
        process.end()
        assert time.monotonic() - insisted < 5
        (*_, last, _) = answer.read().split(b"\n\n")
        assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "draining"
        (*_, last, _) = message.read().split(b"\n\n")
        name, _, data = last.partition(b"\n")
        assert name == b"event: error"
        assert json.loads(data.removeprefix(b"data: "))["error"]["type"] == "overloaded_error"
        refused = whole.getresponse()
        assert refused.status == 503
        assert json.loads(refused.read())["error"]["code"] == "draining"
    requests = [event for event in process.events() if event["event"] == "request"]
    assert sorted(event["status"] for event in requests) == [200, 200, 503]
    assert [(event["fault"], event["code"]) for event in requests] == [("gateway", "draining")] * 3


def test_a_taken_port_is_named_with_the_cure(tmp_path: Path) -> None:
    write_config(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for arguments in (("--listen", address), ("--listen", address, "--workers", "2")):
            result = run(tmp_path, *arguments)
            assert result.returncode == 2
            assert result.stderr == (
                f"turnout cannot start: {address}: another process listens there already. "
                "Stop it, or choose another address.\n"
            )


def test_a_public_address_without_keys_is_refused(tmp_path: Path) -> None:
    write_config(tmp_path)
    result = run(tmp_path, "--listen", "0.0.0.0:0")
    assert result.returncode == 2
    assert result.stderr.startswith("--listen: 0.0.0.0:0 can be reached from other machines")


def test_broken_yaml_is_file_and_line_and_never_a_traceback(tmp_path: Path) -> None:
    write_config(tmp_path)
    (tmp_path / "config/gateway.yaml").write_text("listen: 127.0.0.1:0\nlimts: {}\n")
    result = run(tmp_path)
    assert result.returncode == 2
    assert "config/gateway.yaml:2: limts: there is no such field. Did you mean" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--workers", "0"], "a number from 1 to 256"),
        (["--workers", "x"], "a number from 1 to 256"),
        (["--listen", "here"], "HOST:PORT"),
    ],
)
def test_a_bad_option_says_what_was_expected(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    result = run(tmp_path, *arguments)
    assert result.returncode == 2
    assert words in result.stderr


def test_i06_with_128_file_descriptors_it_starts_and_answers(tmp_path: Path) -> None:
    write_config(tmp_path)
    script = tmp_path / "limited"
    script.write_text(
        "import resource, runpy, sys\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))\n"
        "sys.argv[0] = 'turnout'\n"
        "runpy.run_module('gateway', run_name='__main__')\n"
    )
    limited = [sys.executable, str(script), *command(tmp_path)[3:]]
    with (tmp_path / "output").open("wb") as file:
        running = subprocess.Popen(limited, stdout=file, stderr=file, cwd=tmp_path)
    try:
        process = Process(running, tmp_path / "output")
        process.await_start()
        assert process.get("/livez")[0] == 200
        running.send_signal(signal.SIGTERM)
        assert process.end() == 0
    finally:
        running.kill()
        running.wait()


def test_a_person_at_a_terminal_gets_a_banner(tmp_path: Path) -> None:
    write_config(tmp_path, aliases={"default": "simulated/demo"})
    ours, theirs = pty.openpty()
    running = subprocess.Popen(command(tmp_path), stdout=theirs, stderr=theirs, cwd=tmp_path)
    os.close(theirs)
    shown = b""
    try:
        while b"Stop with Ctrl-C" not in shown:
            shown += os.read(ours, 4096)
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(30)
        os.close(ours)
    assert b"Turnout serves  http://127.0.0.1:" in shown
    assert b'"model": "default"' in shown


@pytest.mark.parametrize("workers", [1, 2])
def test_the_command_serves_until_it_is_told_to_stop(
    tmp_path: Path,
    workers: int,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In this very process, so that a debugger and coverage see it."""
    monkeypatch.setattr("gateway.commands.serve.tune_gc", lambda: None)
    with (
        socket.create_server(("127.0.0.1", 0)) as free,
        socket.create_server(("127.0.0.1", 0)) as also_free,
    ):
        port, admin = free.getsockname()[1], also_free.getsockname()[1]
    write_config(tmp_path)
    options = ["--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}"]
    options += ["--workers", str(workers), "--data", str(tmp_path / "data")]
    seen: list[int] = []

    def watch() -> None:
        end = time.monotonic() + 30
        while time.monotonic() < end and seen[-1:] != [200]:
            time.sleep(0.05)
            with suppress(OSError), connection(admin) as client:
                client.request("GET", "/readyz")
                seen.append(client.getresponse().status)
        with connection(admin) as client:
            client.request("GET", "/metrics")
            seen.append(client.getresponse().status)
        os.kill(os.getpid(), signal.SIGTERM)

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert main(command(tmp_path, *options)[3:]) == 0
    watcher.join()
    assert seen[-2:] == [200, 200]
    shown = capfd.readouterr().out
    assert '"event":"serving"' in shown
    assert '"event":"stopped"' in shown


def test_a_taken_port_is_2_in_this_process_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_config(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main(command(tmp_path, "--listen", address)[3:]) == 2
    assert "another process listens there already" in capsys.readouterr().err
