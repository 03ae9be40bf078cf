"""What the docs show of /readyz and /admin/reload has the shape of what is answered."""

import http.client
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.gateway import write_config
from tests.fakes.process import Process, connection, serving, until

ROOT = Path(__file__).parents[2]
SHOWN = re.compile(r"^\$ curl ([^\n]+)\n(\{.*?\})\n```", re.MULTILINE | re.DOTALL)
TOKEN = "operator-token"
WARM = {"simulated": {"kind": "simulated", "warmup": {"connections": 0}}}


def shown(page: str) -> dict[str, Any]:
    """The answers that a page shows, by what was asked."""
    return {asked: json.loads(text) for asked, text in SHOWN.findall((ROOT / page).read_text())}


def shape(value: Any) -> Any:
    """Keys below keys; of a list its first item; what is named freely stands for itself."""
    if isinstance(value, dict):
        free = {"warmups", "in_use"} & value.keys()
        below = {name: shape(each) for name, each in value.items() if name not in free}
        warm = [shape(each) for each in value.get("warmups", {}).values()][:1]
        return {**below, **dict.fromkeys(free), **({"warmups": warm[0]} if warm else {})}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def fits(told: Any, got: Any) -> bool:
    """Whether both have the same keys; an empty mapping or list says nothing of what is in it."""
    if isinstance(told, dict) and isinstance(got, dict):
        same = not told or not got or told.keys() == got.keys()
        return same and all(fits(told[name], got[name]) for name in told.keys() & got.keys())
    if isinstance(told, list) and isinstance(got, list):
        return not told or not got or fits(told[0], got[0])
    return type(told) is type(got) or told is None or got is None


def spoiled(home: Path, process: Process) -> Any:
    """Spoil a policy; return what a reload then says."""
    (home / "policies/default.yaml").write_text("pipelin: []\n")
    with connection(process.admin_port) as client:
        client.request("POST", "/admin/reload", headers={"authorization": f"Bearer {TOKEN}"})
        response: http.client.HTTPResponse = client.getresponse()
        return json.loads(response.read())


def configured(home: Path) -> None:
    write_config(home, providers=WARM, settings={"admin_token": "env:TOKEN"})


def test_one_process_answers_as_it_is_shown(tmp_path: Path) -> None:
    configured(tmp_path)
    pages = shown("docs/http.md")
    with serving(tmp_path, environment={"TOKEN": TOKEN}) as process:
        until(lambda: bool(process.readiness()["ready"]), process)
        public = json.loads(process.get("/readyz")[1])
        reloaded = spoiled(tmp_path, process)
        private = process.readiness()
    assert fits(shape(pages["http://127.0.0.1:8080/readyz"]), shape(public))
    assert fits(shape(pages["http://127.0.0.1:8081/readyz"]), shape(private))
    assert private["problems"].keys() == {"policies"}
    (told,) = [each for asked, each in shown("docs/policies.md").items() if "reload" in asked]
    assert shape(told) == shape(reloaded)


def test_workers_answer_as_it_is_shown(tmp_path: Path) -> None:
    configured(tmp_path)
    told = shown("docs/http.md")["http://127.0.0.1:8081/readyz  # with --workers"]
    with serving(tmp_path, "--workers", "2", environment={"TOKEN": TOKEN}) as process:
        until(lambda: bool(process.readiness()["ready"]), process)
        before = process.readiness()
        reloaded = spoiled(tmp_path, process)
        until(lambda: bool(process.readiness()["problems"]), process)
        after = process.readiness()
    assert fits(shape(told), shape(before))
    assert before["policies"]["version"] == before["workers"][1]["policies"]["version"]
    (alone,) = [each for asked, each in shown("docs/policies.md").items() if "reload" in asked]
    assert shape(alone) == {
        name: each for name, each in shape(reloaded).items() if name != "workers"
    }
    assert len(reloaded["problems"]) == 1  # not once for each worker
    assert after["problems"]["policies"].count("pipelin:") == 1
    assert after["policies"]["ok"] is False


@pytest.mark.parametrize("asked", ["http://127.0.0.1:8080/readyz", "http://127.0.0.1:8081/readyz"])
def test_the_docs_show_both_listeners(asked: str) -> None:
    assert asked in shown("docs/http.md")
