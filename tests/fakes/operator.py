"""An operator of a running gateway, who has the admin token."""

import http.client
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.fakes.process import Process, connection

TOKEN = "operator-token-0123456789"


def ask(process: Process, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """Send a request to /admin and return the status and what the answer says."""
    headers = {"authorization": f"Bearer {TOKEN}"}
    with connection(process.admin_port) as client:
        sent = None if body is None else json.dumps(body)
        client.request(method, f"/admin/{path}", sent, headers)
        response: http.client.HTTPResponse = client.getresponse()
        return response.status, json.loads(response.read())


def create(process: Process, tenant: str, **more: Any) -> tuple[str, str]:
    """Issue a key and return it with its id."""
    status, made = ask(process, "POST", "keys", {"tenant": tenant, **more})
    assert status == 201, made
    return made["key"], made["id"]


def revoke(process: Process, name: str) -> None:
    status, said = ask(process, "DELETE", f"keys/{name}")
    assert status == 200, said


def turnout_keys(home: Path, *words: str, data: str = "data", **environment: str) -> str:
    """Run `turnout keys` on the configuration below `home` and return what it prints."""
    folders = ["--config", str(home / "config"), "--policies", str(home / "policies")]
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "keys", *words, *folders, "--data", str(home / data)],
        cwd=home,
        env=environment or None,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()
