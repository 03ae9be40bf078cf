"""Keys and tenants for operators: what is answered, and what the log says of it."""

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core import wire
from gateway.core.errors import StateUnavailable
from gateway.core.exchange import Caller
from gateway.core.secret import Secret
from gateway.core.state import IssuedKey, Keys
from gateway.edge.admin import AdminAnswer, AdminRequest
from gateway.edge.key_desk import KeyDesk
from gateway.policy.issue import Issuer
from gateway.policy.snapshot import Holder, Snapshot
from gateway.policy.standings import Standings
from gateway.state.memory import MemoryKeys, memory_state
from gateway.trial.clock import TrialClock

ACTOR = "0badcafe at 127.0.0.1"
CALLERS = {
    "acme": Caller(tenant="acme", labels={"team": "ml"}, models=frozenset({"b", "a"})),
    "bob": Caller(tenant="bob", policy="research", priority="low"),
}


class Desk:
    """A desk, and what its log says."""

    def __init__(self, keys: Keys | None = None) -> None:
        self.lines: list[dict[str, Any]] = []
        self.clock = TrialClock(1_700_000_000.0)
        state = memory_state(self.clock)
        issuer = Issuer(
            replace(state, keys=keys or state.keys),
            Secret("a pepper for these tests", "test"),
            new_secret=lambda: "s" * 32,
            tenants=lambda: CALLERS,
            audit=self._audit,
        )
        holder = Holder(Snapshot(version="v", chains={}, callers=CALLERS))
        standings = Standings(holder, state.limiter, lambda: "a")
        self.desk = KeyDesk(issuer, holder, standings)

    def _audit(self, event: str, **fields: object) -> None:
        self.lines.append({"event": event, **fields})

    async def create(self, body: bytes = b'{"tenant":"acme"}') -> tuple[int, Any]:
        return read(await self.desk.create(AdminRequest(body=body, actor=ACTOR)))

    async def revoke(self, name: str) -> tuple[int, Any]:
        return read(await self.desk.revoke(AdminRequest(name=name, actor=ACTOR)))

    async def keys(self) -> tuple[int, Any]:
        return read(await self.desk.keys(AdminRequest()))


def read(answer: AdminAnswer) -> tuple[int, Any]:
    return answer.status, wire.decode(answer.body)


class Away(MemoryKeys):
    """A store that does not answer."""

    async def create(self, key: IssuedKey, /) -> None:
        raise StateUnavailable("public", detail="redis: it is away")

    async def revoke(self, name: str, at: float, /) -> bool:
        raise StateUnavailable("public", detail="redis: it is away")

    async def all(self) -> tuple[IssuedKey, ...]:
        raise StateUnavailable("public")


async def test_a_key_is_shown_once_and_its_creation_is_in_the_log_without_it() -> None:
    desk = Desk()
    status, made = await desk.create()
    assert (status, made["key"], made["tenant"]) == (201, "tk-" + "s" * 32, "acme")
    kept = {name: value for name, value in made.items() if name != "key"}
    assert await desk.keys() == (200, {"keys": [kept]})
    whose = {"key": kept["id"], "prefix": kept["prefix"], "tenant": "acme"}
    assert desk.lines == [
        {"event": "key created", "actor": ACTOR, **whose, "before": None, "after": kept}
    ]


async def test_a_revocation_is_in_the_log_with_before_and_after() -> None:
    desk = Desk()
    name = (await desk.create())[1]["id"]
    desk.clock.now += 60
    status, kept = await desk.revoke(name)
    assert (status, kept["state"], kept["revoked"]) == (200, "revoked", "2023-11-14T22:14:20Z")
    desk.clock.now += 60
    assert await desk.revoke(name) == (200, kept)
    since = {"revoked": kept["revoked"]}
    told = [(line["before"], line["after"]) for line in desk.lines[1:]]
    assert told == [({"revoked": None}, since), (since, since)]
    assert {(line["actor"], line["key"], line["tenant"]) for line in desk.lines[1:]} == {
        (ACTOR, name, "acme")
    }


async def test_an_unknown_key_is_404_and_leaves_no_line() -> None:
    desk = Desk()
    status, said = await desk.revoke("nobody")
    assert (status, said["error"]["code"]) == (404, "key_not_found")
    assert desk.lines == []


@pytest.mark.parametrize(
    ("body", "code", "param", "message"),
    [
        (b"", "invalid_json", None, "not valid JSON"),
        (b"[]", "invalid_json", None, "not a JSON object"),
        (b'{"tenant":"acme","tenant":"bob"}', "invalid_json", None, "twice"),
        (b"{}", "invalid_field", None, "`tenant` is missing."),
        (b'{"tenant":"acm"}', "invalid_field", "tenant", "Did you mean `acme`?"),
        (b'{"tenant":"acme","admin":true}', "invalid_field", "admin", "no such field"),
        (b'{"tenant":"acme","expires":30}', "invalid_field", "expires", "must be text"),
    ],
)
async def test_what_cannot_be_is_400_with_its_field(
    body: bytes, code: str, param: str | None, message: str
) -> None:
    desk = Desk()
    status, said = await desk.create(body)
    error = said["error"]
    assert (status, error["code"], error.get("param")) == (400, code, param)
    assert message in error["message"]
    assert desk.lines == []


async def test_without_its_store_nothing_changes_and_that_is_said() -> None:
    desk = Desk(Away())
    for status, said in (await desk.create(), await desk.revoke("x"), await desk.keys()):
        assert (status, said["error"]["code"]) == (503, "storage_unavailable")
        assert "nothing was changed" in said["error"]["message"]
    assert "(redis: it is away)" in (await desk.revoke("x"))[1]["error"]["message"]
    assert desk.lines == []


async def test_tenants_are_shown_as_their_requests_are_treated() -> None:
    assert read(await Desk().desk.tenants(AdminRequest())) == (
        200,
        {
            "tenants": {
                "acme": {
                    "policy": "default",
                    "labels": {"team": "ml"},
                    "models": ["a", "b"],
                    "priority": "normal",
                    "limits": [],
                },
                "bob": {
                    "policy": "research",
                    "labels": {},
                    "models": None,
                    "priority": "low",
                    "limits": [],
                },
            }
        },
    )
