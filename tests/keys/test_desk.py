"""Issued keys in a gateway that runs: the admin API, anonymity, peppers, and a store that dies."""

import http.client
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.gateway import write_config
from tests.fakes.operator import TOKEN, ask, create, revoke
from tests.fakes.process import Process, connection, serving, until
from tests.fakes.redis_server import RedisServer, redis_server

BODY = b'{"model":"simulated/demo","messages":[{"role":"user","content":"Hello!"}]}'
TENANTS = "tenants:\n  acme: {policy: default, labels: {team: ml}, models: [simulated/demo]}\n"
FLEET: Mapping[str, Any] = {
    "state": {"kind": "redis", "url": "env:REDIS_URL"},
    "pepper": "env:PEPPER",
}


@contextmanager
def running(
    home: Path,
    *words: str,
    tenants: str = TENANTS,
    environment: Mapping[str, str] | None = None,
    **settings: Any,
) -> Iterator[Process]:
    home.mkdir(exist_ok=True)
    write_config(home, settings={"admin_token": "env:TOKEN", **settings})
    if tenants:
        (home / "policies/tenants.yaml").write_text(tenants)
    variables = {**os.environ, "TOKEN": TOKEN, **(environment or {})}
    with serving(home, *words, environment=variables) as process:
        until(lambda: bool(process.readiness()["ready"]), process)
        yield process


def status_of(process: Process, key: str = "", **headers: str) -> int:
    with connection(process.port) as client:
        sent = {"content-type": "application/json", **headers}
        sent |= {"authorization": f"Bearer {key}"} if key else {}
        client.request("POST", "/v1/chat/completions", BODY, sent)
        response: http.client.HTTPResponse = client.getresponse()
        response.read()
        return response.status


def all_answer(process: Process, status: int, key: str = "") -> bool:
    return [status_of(process, key) for _ in range(12)] == [status] * 12


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_key_lives_from_its_creation_to_its_revocation(workers: str, tmp_path: Path) -> None:
    with running(tmp_path, "--workers", workers, require_key=True) as process:
        status, made = ask(process, "POST", "keys", {"tenant": "acme", "expires": "1h"})
        key = made.pop("key")
        assert (status, made["state"], made["prefix"]) == (201, "active", key[:8])
        assert ask(process, "GET", "keys") == (200, {"keys": [made]})
        until(lambda: all_answer(process, 200, key), process)
        status, said = ask(process, "POST", "keys", {"tenant": "acmee"})
        assert (status, said["error"]["param"]) == (400, "tenant")
        assert "Did you mean `acme`?" in said["error"]["message"]
        assert ask(process, "DELETE", "keys/nobody")[0] == 404
        status, gone = ask(process, "DELETE", f"keys/{made['id']}")
        assert (status, gone["state"]) == (200, "revoked")
        until(lambda: status_of(process, key) in {401, 429}, process)
        assert ask(process, "GET", "tenants") == (
            200,
            {
                "tenants": {
                    "acme": {
                        "policy": "default",
                        "labels": {"team": "ml"},
                        "models": ["simulated/demo"],
                        "priority": "normal",
                        "limits": [],
                    },
                }
            },
        )
        pepper = (tmp_path / "data/pepper").read_text().strip()
        until(lambda: "key revoked" in process.output.read_text(), process)
        changes = {e["event"]: e for e in process.events() if e["event"].startswith("key ")}
        assert changes["key created"]["after"] == made
        assert changes["key created"]["before"] is None
        assert changes["key revoked"]["before"] == {"revoked": None}
        assert changes["key revoked"]["after"] == {"revoked": gone["revoked"]}
        assert len({e["actor"] for e in changes.values()}) == 1
        assert changes["key created"]["actor"].endswith(" at 127.0.0.1")
        told = [e["key"] for e in process.events() if e["event"] == "request" and e["tenant"]]
        assert set(told) == {made["id"][:8]}
        output = process.output.read_text()
        assert [word for word in (key, key[8:], pepper, TOKEN) if word in output] == []


def test_everybody_is_let_in_until_the_first_key_and_nobody_without_one_after_it(
    tmp_path: Path,
) -> None:
    with running(tmp_path, "--workers", "2", tenants="") as process:
        assert all_answer(process, 200)
        key, name = create(process, "newcomer")
        until(lambda: all_answer(process, 401), process)
        assert all_answer(process, 200, key)
        revoke(process, name)
        until(lambda: status_of(process, key) == 401, process)
        assert status_of(process) == 401


def test_where_a_key_is_required_nobody_was_ever_let_in_without_one(tmp_path: Path) -> None:
    """Also on an address that others reach, and when the store is new."""
    with running(tmp_path, listen="0.0.0.0:0", require_key=True) as process:
        assert status_of(process) == 401
        assert status_of(process, create(process, "acme")[0]) == 200


def test_a10_a_keys_networks_are_about_the_peer_not_about_what_a_header_says(
    tmp_path: Path,
) -> None:
    with running(tmp_path) as process:
        near, _ = create(process, "acme", networks=["127.0.0.0/8"])
        far, _ = create(process, "acme", networks=["10.0.0.0/8"])
        assert status_of(process, near) == 200
        assert status_of(process, far) == 401
        spoofed = {"x-forwarded-for": "10.0.0.1", "forwarded": "for=10.0.0.1"}
        assert status_of(process, far, **spoofed) == 401
        assert status_of(process, near, **spoofed) == 200


def test_keys_in_memory_are_made_by_the_api_and_end_with_the_process(tmp_path: Path) -> None:
    with running(tmp_path, state={"kind": "memory"}) as process:
        assert status_of(process, create(process, "acme")[0]) == 200
        assert not (tmp_path / "data/pepper").exists()


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


def fleet(redis: RedisServer, pepper: str = "one pepper for all of the nodes") -> dict[str, str]:
    return {"REDIS_URL": redis.url, "PEPPER": pepper}


def test_a_dead_store_stops_no_key_and_a_revocation_that_must_wait_says_so(
    tmp_path: Path, redis: RedisServer
) -> None:
    with running(tmp_path, environment=fleet(redis), **FLEET) as process:
        key, name = create(process, "acme")
        redis.freeze()
        until(lambda: "redis does not answer" in json.dumps(process.readiness()), process)
        assert status_of(process, key) == 200
        status, said = ask(process, "DELETE", f"keys/{name}")
        assert (status, said["error"]["code"]) == (503, "storage_unavailable")
        assert "nothing was changed. Keys stay as they were." in said["error"]["message"]
        assert "revocations wait" in process.readiness()["problems"]["state"]
        assert status_of(process, key) == 200
        redis.thaw()
        until(lambda: ask(process, "DELETE", f"keys/{name}")[0] == 200, process)
        assert status_of(process, key) == 401


def test_a_node_that_starts_without_its_store_knows_the_keys_of_its_last_run(
    tmp_path: Path, redis: RedisServer
) -> None:
    with running(tmp_path, environment=fleet(redis), **FLEET) as process:
        key, _ = create(process, "acme")
        until(lambda: status_of(process, key) == 200, process)
    redis.kill()
    variables = {**os.environ, "TOKEN": TOKEN, **fleet(redis)}
    with serving(tmp_path, environment=variables) as process:
        assert status_of(process, key) == 200
        assert status_of(process) == 401


def test_a_node_with_another_pepper_says_so(tmp_path: Path, redis: RedisServer) -> None:
    with running(tmp_path / "one", environment=fleet(redis), **FLEET) as one:
        key, name = create(one, "acme")
        other = fleet(redis, "another pepper on this node")
        with running(tmp_path / "two", environment=other, **FLEET) as two:
            assert status_of(two, key) == 401
            problem = two.readiness()["problems"]["keys"]
            assert "1 keys were made with another pepper and are wrong here" in problem
            assert "keys" not in one.readiness()["problems"]
            until(lambda: any(e["event"] == "keys" for e in two.events()), two)
            assert [e["problem"] for e in two.events() if e["event"] == "keys"] == [problem]
            revoke(one, name)
            until(lambda: "keys" not in two.readiness()["problems"], two)


def test_a01_a_request_without_a_key_reaches_nobody(tmp_path: Path) -> None:
    with running(tmp_path, require_key=True) as process:
        with connection(process.port) as client:
            client.request("POST", "/v1/chat/completions", BODY)
            response = client.getresponse()
            error = json.loads(response.read())["error"]
        assert (response.status, error["code"]) == (401, "missing_key")
        assert response.headers["www-authenticate"].startswith("Bearer")
        until(lambda: any(e["event"] == "request" for e in process.events()), process)
        (event,) = [e for e in process.events() if e["event"] == "request"]
        assert (event["attempts"], event["answered_by"], event["tenant"]) == (0, "", "")


def test_a02_wrong_revoked_and_expired_keys_get_the_same_bytes(tmp_path: Path) -> None:
    def said(process: Process, key: str) -> tuple[int, str, list[tuple[str, str]]]:
        with connection(process.port) as client:
            client.request("GET", "/v1/models", headers={"x-api-key": key})
            response = client.getresponse()
            body = json.loads(response.read())
            body["error"].pop("request_id")
            of_its_own = {"x-request-id", "date", "x-turnout-overhead-ms"}
            headers = [(n, v) for n, v in response.getheaders() if n.lower() not in of_its_own]
            return response.status, json.dumps(body), headers

    with running(tmp_path) as process:
        expired, _ = create(process, "acme", expires="1s")
        revoked, name = create(process, "acme")
        elsewhere, _ = create(process, "acme", networks=["10.0.0.0/8"])
        revoke(process, name)
        time.sleep(1.1)
        wrong = "tk-" + "w" * 32
        answers = [said(process, key) for key in (wrong, expired, revoked, elsewhere)]
        assert answers == [answers[0]] * 4
        assert answers[0][0] == 401
