"""`turnout keys`: on the store itself, beside a gateway that runs or does not."""

import json
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import gateway.state.redis.limiter  # noqa: F401 - loading it inside of a loop would block that
from gateway.__main__ import main
from gateway.commands.keys import HEAD, table
from tests.fakes.gateway import write_config
from tests.fakes.redis_server import RedisServer, redis_server

TENANTS = "tenants:\n  acme: {}\n  bob: {labels: {team: ml}}\n"


class Here:
    """A configuration, and the command run on it."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self._capsys = capsys

    def run(self, *words: str, data: str = "data") -> tuple[int, str, str]:
        folders = ("--config", str(self.home / "config"), "--policies", str(self.home / "policies"))
        code = main(["keys", *words, *folders, "--data", str(self.home / data)])
        said = self._capsys.readouterr()
        return code, said.out, said.err

    def listed(self) -> list[dict[str, Any]]:
        code, out, _ = self.run("list", "--format", "json")
        assert code == 0
        keys: list[dict[str, Any]] = json.loads(out)["keys"]
        return keys


def configured(home: Path, **settings: Any) -> None:
    write_config(home, settings=settings)
    (home / "policies/tenants.yaml").write_text(TENANTS)


@pytest.fixture
def here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Here:
    configured(tmp_path)
    return Here(tmp_path, capsys)


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


def test_j03_a_key_is_printed_once_alone_and_is_nowhere_on_disk(here: Here) -> None:
    code, out, err = here.run("create", "--tenant", "acme")
    secret = out.strip()
    assert (code, secret[:3], len(secret)) == (0, "tk-", 35)
    (kept,) = here.listed()
    assert kept["prefix"] == secret[:8]
    assert secret not in err
    assert f"Key {kept['id']} of tenant acme, good until it is revoked." in err
    files = list((here.home / "data").iterdir())
    assert {"pepper", "ledger.db", "limits.db"} <= {path.name for path in files}
    for path in files:
        assert path.stat().st_mode & 0o777 == 0o600
        assert secret.encode() not in path.read_bytes()


def test_all_that_was_asked_for_is_kept(here: Here) -> None:
    words = ["--label", "team=ml", "--label", "app=a=b", "--expires", "30d"]
    words += ["--network", "10.0.0.0/8", "--network", "::1"]
    code, out, _ = here.run("create", "--tenant", "acme", *words, "--format", "json")
    assert code == 0
    made = json.loads(out)
    secret = made.pop("key")
    assert here.listed() == [made]
    assert made["labels"] == {"team": "ml", "app": "a=b"}
    assert made["networks"] == ["10.0.0.0/8", "::1"]
    assert made["created"] < made["expires"]
    code, out, _ = here.run("list")
    assert secret[:8] + "..." in out
    assert "team=ml,app=a=b" in out


def test_a_key_is_revoked_by_its_id(here: Here) -> None:
    here.run("create", "--tenant", "acme")
    name = here.listed()[0]["id"]
    code, out, err = here.run("revoke", name)
    assert (code, out) == (0, "")
    assert f"Key {name} of tenant acme is revoked since " in err
    assert here.listed()[0]["state"] == "revoked"
    code, out, _ = here.run("revoke", name, "--format", "json")
    assert json.loads(out) == here.listed()[0]


def test_every_change_leaves_a_line_with_who_and_what_and_never_the_key(here: Here) -> None:
    """As the gateway's own log has it for /admin/keys; looking leaves none."""
    secret = here.run("create", "--tenant", "acme")[1].strip()
    (kept,) = here.listed()
    here.run("revoke", kept["id"])
    here.run("revoke", "0123")
    text = (here.home / "data/keys.log").read_text()
    assert secret not in text
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["event"] for line in lines] == ["key created", "key revoked"]
    user = pwd.getpwuid(os.getuid()).pw_name
    for line in lines:
        assert (
            line.items()
            >= {
                "actor": f"cli: {user}",
                "key": kept["id"],
                "prefix": secret[:8],
                "tenant": "acme",
            }.items()
        )
        assert datetime.fromisoformat(line["ts"]).tzinfo == UTC
    assert lines[0]["after"] == kept
    assert lines[1]["before"] == {"revoked": None}


def test_a_change_that_cannot_be_noted_says_so(here: Here) -> None:
    (here.home / "data/keys.log").mkdir(parents=True)
    code, out, err = here.run("create", "--tenant", "acme")
    assert (code, out[:3]) == (0, "tk-")
    assert "warning: key created, but not noted: " in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["create", "--tenant", "acmee"],
            "tenant: there is no such tenant in tenants.yaml. Did",
        ),
        (["create", "--tenant", "acme", "--label", "x"], "labels.x: this must be text of length"),
        (["create", "--tenant", "acme", *("--label", "a=1") * 2], "one name is here twice"),
        (["create", "--tenant", "acme", "--expires", "soon"], "such as 30d"),
        (["create", "--tenant", "acme", "--network", "10.1.1.1/8"], "write 10.0.0.0/8."),
        (["revoke", "0123"], "there is no key 0123. `turnout keys list` shows them."),
    ],
)
def test_what_cannot_be_says_why(here: Here, words: list[str], said: str) -> None:
    code, out, err = here.run(*words)
    assert (code, out) == (1, "")
    assert said in err
    assert here.listed() == []


def test_nothing_issued_says_where_it_looked(here: Here) -> None:
    code, out, err = here.run("list")
    assert (code, out) == (0, "")
    assert str(here.home / "data") in err


def test_a_store_in_memory_is_refused_with_the_way_round(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configured(tmp_path, state={"kind": "memory"})
    code, out, err = Here(tmp_path, capsys).run("create", "--tenant", "acme")
    assert (code, out) == (2, "")
    assert "Use POST /admin/keys" in err
    assert not (tmp_path / "data").exists()


def test_a_data_directory_that_cannot_be_used_is_told(here: Here) -> None:
    (here.home / "data").write_text("a file")
    code, out, err = here.run("list")
    assert (code, out) == (2, "")
    assert "Mend it, or choose --data." in err


def test_a_pepper_of_another_place_is_warned_of(here: Here) -> None:
    here.run("create", "--tenant", "acme")
    (here.home / "data/pepper").write_text("another pepper than before\n")
    code, _, err = here.run("create", "--tenant", "acme")
    assert code == 0
    assert "1 keys here were made with another pepper" in err


def test_keys_in_redis_are_those_of_every_node(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    redis: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REDIS_URL", redis.url)
    monkeypatch.setenv("PEPPER", "one pepper for all of them")
    state = {"kind": "redis", "url": "env:REDIS_URL", "timeout": 1}
    configured(tmp_path, state=state, pepper="env:PEPPER")
    here = Here(tmp_path, capsys)
    code, out, err = here.run("create", "--tenant", "acme")
    assert (code, err.count("warning")) == (0, 0)
    code, listed, _ = here.run("list", data="another")
    assert out[:8] in listed
    assert not (tmp_path / "data/pepper").exists()
    redis.kill()
    name = listed.splitlines()[1].split()[0]
    code, _, err = here.run("revoke", name)
    assert code == 1
    assert "the store cannot be reached: redis: " in err
    assert here.listed()[0]["state"] == "active"  # from this node's own copy


def test_a_table_lines_up() -> None:
    row: dict[str, Any] = {"id": "0123456789ab", "prefix": "tk-abcde", "tenant": "a"}
    row |= {"state": "active", "created": "2026-11-21T00:00:00Z", "expires": None}
    row |= {"labels": {}, "networks": []}
    head, line = table([row])
    assert head.split() == list(HEAD)
    assert line.split() == [
        *("0123456789ab", "tk-abcde...", "a", "active"),
        *("2026-11-21T00:00:00Z", "never", "-", "anywhere"),
    ]
    assert head.index("STATE") == line.index("active")


def test_it_is_a_command_of_its_own(tmp_path: Path) -> None:
    configured(tmp_path)
    command = [sys.executable, "-m", "gateway", "keys", "create", "--tenant", "acme"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("tk-")
    assert "It is not shown again." in done.stderr
