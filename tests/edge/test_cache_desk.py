"""The cache for operators: what is answered, what is forgotten, and what the log says of it."""

from typing import Any

import pytest

from gateway.core import wire
from gateway.core.answers import Selection
from gateway.core.audits import Audits
from gateway.core.cache import open_cache
from gateway.core.errors import StateUnavailable
from gateway.edge.admin import AdminAnswer, AdminRequest
from gateway.edge.cache_desk import CacheDesk
from gateway.state.answers_memory import MemoryAnswers
from gateway.state.audits_memory import MemoryAudits
from tests.fakes.kept import NOW, answer

ACTOR = "0badcafe at 127.0.0.1"


class Away(MemoryAnswers):
    async def remove(self, which: Selection, /, *, dry_run: bool = False) -> int:
        raise StateUnavailable("It is away.")

    async def held(self) -> Any:
        raise StateUnavailable("It is away.", detail="frozen")

    async def find(self, which: Selection, /, *, most: int) -> Any:
        raise StateUnavailable("It is away.")


class Desk:
    """A desk with two tenants' answers, and what its log says."""

    def __init__(self, store: MemoryAnswers | None = None) -> None:
        self.lines: list[dict[str, Any]] = []
        self.store = store or MemoryAnswers(lambda: NOW + 10, 1 << 20)
        self.audits = Audits(MemoryAudits(), lambda: NOW + 10)
        self.cache = open_cache(self.store, b"pepper", audits=self.audits)
        for number in range(4):
            tenant = "acme" if number % 2 else "bob"
            self.cache.keep(answer(number, tenant=tenant, tags=(f"t{number}",)))
        self.desk = CacheDesk(self.cache, lambda: NOW + 10, self._audit)

    def _audit(self, event: str, **fields: object) -> None:
        self.lines.append({"event": event, **fields})

    async def purge(self, body: bytes) -> tuple[int, Any]:
        return read(await self.desk.purge(AdminRequest(body=body, actor=ACTOR)))

    async def feedback(self, body: bytes) -> tuple[int, Any]:
        return read(await self.desk.feedback(AdminRequest(body=body, actor=ACTOR)))


def read(answered: AdminAnswer) -> tuple[int, Any]:
    return answered.status, wire.decode(answered.body)


async def test_a_tenants_answers_are_forgotten_at_hand_and_in_the_store() -> None:
    desk = Desk()
    assert await desk.purge(b'{"tenant":"bob"}') == (200, {"removed": 2, "dry_run": False})
    assert desk.cache.shelf.sizes().keys() == {"acme"}
    assert len(await desk.store.find(Selection(), most=9)) == 2
    assert desk.lines == [
        {
            "event": "cache purged",
            "actor": ACTOR,
            "selection": {"tenant": "bob"},
            "removed": 2,
        }
    ]


async def test_a_dry_run_only_counts() -> None:
    desk = Desk()
    body = b'{"tag":"t1","dry_run":true}'
    assert await desk.purge(body) == (200, {"removed": 1, "dry_run": True})
    assert len(desk.cache.shelf) == 4
    assert desk.lines == []


async def test_everything_goes_only_where_that_is_said() -> None:
    desk = Desk()
    status, said = await desk.purge(b"{}")
    assert (status, said["error"]["code"]) == (400, "invalid_field")
    assert await desk.purge(b'{"all":true}') == (200, {"removed": 4, "dry_run": False})
    assert len(desk.cache.shelf) == 0


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"tenants":"bob"}', b'{"tenant":3}', b'{"tenant":"b","dry_run":"yes"}']
)
async def test_what_cannot_be_meant_is_refused(body: bytes) -> None:
    desk = Desk()
    assert (await desk.purge(body))[0] == 400
    assert (await desk.feedback(body))[0] == 400
    assert len(desk.cache.shelf) == 4


async def test_an_answer_that_was_wrong_goes_and_is_counted() -> None:
    desk = Desk()
    status, said = await desk.feedback(b'{"id":"id-2"}')
    assert (status, said) == (200, {"removed": 1, "group": "acme/default/gpt"})
    assert desk.cache.events["feedback", "wrong"] == 1
    assert len(desk.cache.shelf) == 3
    assert (await desk.feedback(b'{"id":"id-2"}'))[0] == 404


async def test_an_answer_under_way_while_its_like_were_purged_is_known() -> None:
    desk = Desk()
    await desk.purge(b'{"tenant":"bob"}')
    assert desk.cache.purged_since(NOW + 9, answer(7, tenant="bob"))
    assert not desk.cache.purged_since(NOW + 9, answer(7, tenant="acme"))
    assert not desk.cache.purged_since(NOW + 11, answer(7, tenant="bob"))


async def test_what_is_there_is_shown() -> None:
    desk = Desk()
    stats = await desk.desk.stats()
    assert stats["at_hand"]["answers"] == 4
    assert stats["at_hand"]["bytes"] == sum(stats["at_hand"]["tenants"].values())
    assert [each["answers"] for each in stats["store"]] == [2, 2]
    assert stats["events"] == {"stored": {"all": 4}}


async def test_without_a_store_nothing_is_forgotten_and_that_is_said() -> None:
    desk = Desk(Away(lambda: NOW, 1 << 20))
    assert (await desk.purge(b'{"tenant":"bob"}'))[0] == 503
    assert (await desk.feedback(b'{"id":"x"}'))[0] == 503
    assert (await desk.desk.stats())["store"] == {"error": "frozen"}


async def test_a_wrong_semantic_hit_counts_as_a_check_and_another_does_not() -> None:
    desk = Desk()
    await desk.feedback(b'{"id":"id-1","cache":"hit-exact"}')
    assert (await desk.desk.stats())["groups"] == []
    await desk.feedback(b'{"id":"id-3"}')
    (group,) = (await desk.desk.stats())["groups"]
    assert (group["tenant"], group["checks"], group["wrong"]) == ("acme", 1, 1)
    assert group["threshold"] == 0.95
    assert group["state"] == "unproven"
    assert (await desk.feedback(b'{"id":"id-2","cache":"maybe"}'))[0] == 400
