"""`turnout cache`: on the store itself, beside a gateway that runs or does not."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gateway.state.redis.answers  # noqa: F401 - loading it inside of a loop would block that
from gateway.__main__ import main
from gateway.commands.cache import INSPECT, STATS
from gateway.core.audits import Audits
from gateway.core.hit_budget import Group
from gateway.core.secret import Secret
from gateway.state import AnyState
from gateway.state.redis.store import RedisConfig
from gateway.state.sqlite import SqliteConfig
from tests.fakes.gateway import write_config
from tests.fakes.kept import answer
from tests.fakes.redis_server import RedisServer, redis_server
from tests.fakes.runtime import real_time_runtime

SECRET_QUESTION, SECRET_ANSWER = "what ails me?", "a broken heart"


class Here:
    """A configuration with a store of answers, and the command run on it."""

    def __init__(
        self, home: Path, capsys: pytest.CaptureFixture[str], state: dict[str, Any]
    ) -> None:
        self.home = home
        self.store: AnyState = SqliteConfig()
        self._capsys = capsys
        write_config(home, settings={"state": state} if state else {})

    def run(self, *words: str) -> tuple[int, str, str]:
        folders = ("--config", str(self.home / "config"), "--policies", str(self.home / "policies"))
        code = main(["cache", *words, *folders, "--data", str(self.home / "data")])
        said = self._capsys.readouterr()
        return code, said.out, said.err

    def json(self, *words: str) -> Any:
        code, out, _ = self.run(*words, "--format", "json")
        assert code == 0
        return json.loads(out)

    def ids(self, *words: str) -> set[str]:
        return {each["id"] for each in self.json("inspect", *words)["answers"]}


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "redis"])
def here(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Here:
    """A store with four answers, of two tenants."""
    state: dict[str, Any] = {}
    config: AnyState = SqliteConfig()
    if request.param == "redis":
        url = request.getfixturevalue("redis").url
        monkeypatch.setenv("REDIS_URL", url)
        state = {"kind": "redis", "url": "env:REDIS_URL", "timeout": 1}
        config = RedisConfig(url=Secret(url, "test"), timeout=1)
    asyncio.run(fill(config, tmp_path / "data"))
    found = Here(tmp_path, capsys, state)
    found.store = config
    return found


async def fill(config: AnyState, data: Path) -> None:
    async with config.open(real_time_runtime(), data) as state:
        now = state.limiter.now()
        for number in range(4):
            kept = answer(
                number,
                tenant="acme" if number else "bob",
                tags=("faq",) if number == 2 else (),
                model="claude" if number == 3 else "gpt-5",
                question=SECRET_QUESTION,
                body=SECRET_ANSWER.encode(),
                stored=now - 10 + number,
                fresh_until=now + 1800,
                gone_at=now + 3600,
            )
            state.answers.put(kept)
        await state.answers.flush()


def test_what_there_is_is_summed_up(here: Here) -> None:
    code, out, err = here.run("stats")
    lines = [line.split() for line in out.splitlines()]
    assert code == 0
    assert lines[0] == list(STATS)
    assert [line[:5] for line in lines[1:]] == [
        ["acme", "default", "gpt", "claude", "1"],
        ["acme", "default", "gpt", "gpt-5", "2"],
        ["bob", "default", "gpt", "gpt-5", "1"],
    ]
    assert "4 answers, " in err
    told = here.json("stats")
    assert (told["answers"], len(told["kinds"])) == (4, 3)
    assert told["size"] == sum(kind["size"] for kind in told["kinds"])


async def check(config: AnyState, data: Path) -> None:
    """Have two of three semantic hits checked, one of them wrong."""
    async with config.open(real_time_runtime(), data) as state:
        audits, group = Audits(state.audits, state.limiter.now), Group("acme", "default", "gpt")
        for _ in range(3):
            audits.hit(group)
        audits.add(group, 0.97, wrong=False)
        audits.add(group, 0.945, wrong=True)
        await audits.flush()


def test_how_similar_questions_stand_is_shown(here: Here) -> None:
    asyncio.run(check(here.store, here.home / "data"))
    code, out, _ = here.run("stats")
    assert code == 0
    assert out.splitlines()[1].split()[:6] == ["acme", "default", "gpt", "3", "2", "1"]
    (group,) = here.json("stats")["groups"]
    assert (group["hits"], group["checks"], group["wrong"]) == (3, 2, 1)
    assert (group["threshold"], group["state"]) == (0.95, "unproven")
    assert group["counting"] == {"checks": 1, "wrong": 0}
    assert group["interval"] == [0.0, 0.79346]


def test_answers_are_listed_the_newest_first_and_never_told_unless_asked_for(here: Here) -> None:
    code, out, _ = here.run("inspect")
    lines = [line.split() for line in out.splitlines()]
    assert code == 0
    assert lines[0] == list(INSPECT)
    assert [line[0] for line in lines[1:]] == ["id-3", "id-2", "id-1", "id-0"]
    whole = json.dumps(here.json("inspect"))
    for secret in (SECRET_QUESTION, SECRET_ANSWER):
        assert secret not in out + whole
    (shown,) = here.json("inspect", "--id", "id-2", "--show")["answers"]
    assert (shown["question"], shown["body"]) == (SECRET_QUESTION, SECRET_ANSWER)
    assert (shown["tags"], shown["semantic"], shown["micro_dollars"]) == (["faq"], True, 56)
    _, out, _ = here.run("inspect", "--most", "1", "--show")
    assert out.count(SECRET_ANSWER) == out.count(SECRET_QUESTION) == 1


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["--tenant", "acme"], {"id-1", "id-2", "id-3"}),
        (["--tag", "faq"], {"id-2"}),
        (["--model", "gpt-5", "--tenant", "acme"], {"id-1", "id-2"}),
        (["--id", "id-0"], {"id-0"}),
        (["--corpus", "wiki"], set()),
        (["--all"], {"id-0", "id-1", "id-2", "id-3"}),
    ],
)
def test_a_purge_removes_what_is_named_and_a_dry_run_only_counts(
    here: Here, words: list[str], meant: set[str]
) -> None:
    everything = {f"id-{number}" for number in range(4)}
    if "--all" not in words:
        assert here.ids(*words) == meant
    told = here.json("purge", *words, "--dry-run")
    assert told == {"removed": len(meant), "dry_run": True}
    assert here.run("purge", *words, "--dry-run")[1] == f"{len(meant)} answers would be removed.\n"
    assert here.ids() == everything
    assert here.run("purge", *words)[1] == f"{len(meant)} answers are removed.\n"
    assert here.ids() == everything - meant


def test_a_purge_of_nothing_named_asks_for_all(here: Here) -> None:
    code, out, err = here.run("purge")
    assert (code, out) == (1, "")
    assert "say --all" in err
    assert len(here.ids()) == 4


def test_an_empty_store_says_where_it_looked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = Here(tmp_path, capsys, {})
    code, out, err = here.run("stats")
    assert (code, out) == (0, "")
    assert str(tmp_path / "data") in err
    assert here.run("inspect")[2] == "There is no such answer.\n"


def test_a_store_in_memory_is_refused_with_the_way_round(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = Here(tmp_path, capsys, {"kind": "memory"}).run("stats")
    assert (code, out) == (2, "")
    assert "Use /admin/cache" in err


def test_a_data_directory_that_cannot_be_used_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").write_text("a file")
    code, _, err = Here(tmp_path, capsys, {}).run("stats")
    assert code == 2
    assert "Mend it, or choose --data." in err


def test_a_redis_that_is_away_is_told(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    redis: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REDIS_URL", redis.url)
    here = Here(tmp_path, capsys, {"kind": "redis", "url": "env:REDIS_URL"})
    redis.kill()
    code, out, err = here.run("purge", "--all")
    assert (code, out) == (1, "")
    assert "the store cannot be reached: redis: not connected" in err
