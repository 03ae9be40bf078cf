"""The walk through getting-started.md, step by step, beside a gateway that runs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.fakes.process import Process, serving, until
from tests.house.test_docs import BEGINNING, FENCE, ROOT, SHIPPED, files_of

COMMANDS = [text for kind, text in FENCE.findall(BEGINNING.read_text()) if kind == "sh"]


def shipped(home: Path) -> None:
    """What `make run` serves, on ports that are free."""
    for path in SHIPPED:
        (home / path).parent.mkdir(exist_ok=True)
        text = (ROOT / path).read_text()
        (home / path).write_text(re.sub(r"127\.0\.0\.1:808\d ", "127.0.0.1:0 ", text))


def shown_refusal() -> Any:
    """What the page shows last: the refusal."""
    (text,) = (t for kind, t in FENCE.findall(BEGINNING.read_text()) if kind == "text")
    return json.loads(text)


def key_of(home: Path, process: Process) -> str:
    (make,) = (text for text in COMMANDS if "turnout keys" in text)
    command = [sys.executable, "-m", "gateway", *make.split()[1:]]
    made = subprocess.run(command, cwd=home, capture_output=True, text=True, check=True)
    until(lambda: process.get("/v1/models")[0] == 401, process)  # now every request needs a key
    return made.stdout.strip()


def asked(process: Process, key: str) -> list[Any]:
    (script,) = (text for text in COMMANDS if "$KEY" in text)
    script = script.replace("http://127.0.0.1:8080", f"http://127.0.0.1:{process.port}")
    done = subprocess.run(
        ["sh", "-uc", script.replace("curl ", "curl -sS -w '\\n' ")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "KEY": key},
    )
    return [json.loads(line) for line in done.stdout.splitlines() if line]


def test_the_limit_that_a_newcomer_sets_refuses_the_fourth_request(tmp_path: Path) -> None:
    shipped(tmp_path)
    with serving(tmp_path) as process:
        before = process.readiness()["policies"]["version"]
        for path, text in files_of(BEGINNING).items():
            (tmp_path / path).write_text(text)
        until(lambda: process.readiness()["policies"]["version"] != before, process)
        answers = asked(process, key_of(tmp_path, process))
    assert ["error" in answer for answer in answers] == [False, False, False, True]
    got, told = answers[3]["error"], shown_refusal()["error"]
    numbers = re.compile(r"in \d+ s")
    assert numbers.sub("", got.pop("message")) == numbers.sub("", told.pop("message"))
    assert {**got, "request_id": "..."} == told
