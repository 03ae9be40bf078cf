"""How a supervisor asks its workers: any that lives answers for the store of all."""

from collections.abc import Sequence
from pathlib import Path

from gateway.commands.asking import PassedOn, ask
from gateway.core import wire
from gateway.edge.admin import AdminAnswer, AdminRequest, open_admin
from gateway.edge.admin_routes import admin_routes
from tests.fakes.operations import FakeOperations

REQUEST = AdminRequest(name="a b/c", body=b"{}", actor="ann")


def passed_on(*sockets: str) -> PassedOn:
    def live() -> Sequence[str]:
        return sockets

    return PassedOn(live)


def read(answer: AdminAnswer) -> object:
    return wire.decode(answer.body)


async def test_a_worker_answers_and_a_dead_one_is_passed_over(tmp_path: Path) -> None:
    dead, alive = str(tmp_path / "dead.sock"), str(tmp_path / "alive.sock")
    async with open_admin(alive, 0, admin_routes(FakeOperations())):
        desk = passed_on(dead, alive)
        assert read(await desk.keys(REQUEST)) == {"asked": "keys"}
        assert read(await desk.tenants(REQUEST)) == {"asked": "tenants"}
        plain = AdminRequest(name="abc")
        assert read(await desk.revoke(plain)) == {"asked": "revoke", "name": "abc"}
        assert (await desk.revoke(REQUEST)).status == 404  # the name of no key has a slash


async def test_a_key_is_asked_for_once_only(tmp_path: Path) -> None:
    dead, alive = str(tmp_path / "dead.sock"), str(tmp_path / "alive.sock")
    async with open_admin(alive, 0, admin_routes(FakeOperations())):
        assert (await passed_on(dead, alive).create(REQUEST)).status == 503
        made = await passed_on(alive, dead).create(REQUEST)
        assert read(made) == {"asked": "create", "body": "{}"}


async def test_without_any_worker_that_is_said() -> None:
    answer = await passed_on().keys(REQUEST)
    assert answer.status == 503
    assert b"No worker answers" in answer.body


async def test_who_does_not_answer_is_status_0(tmp_path: Path) -> None:
    assert await ask(str(tmp_path / "nobody.sock"), "/livez") == (0, b"")
