"""What an operator can ask of a process."""

import pytest

from gateway.core import wire
from gateway.edge.admin import AdminAnswer, AdminRequest
from gateway.edge.admin_routes import admin_routes
from gateway.edge.readiness import Warmed
from tests.fakes.operations import METRICS, FakeOperations


async def answer(operations: FakeOperations, path: str) -> AdminAnswer:
    (route,) = [route for route in admin_routes(operations) if route.path == path]
    return await route.answer(AdminRequest())


async def test_metrics_are_served_as_prometheus_text() -> None:
    given = await answer(FakeOperations(), "/metrics")
    assert (given.status, given.body) == (200, METRICS)
    assert given.content_type == "text/plain; version=0.0.4; charset=utf-8"


async def test_readiness_says_what_is_missing_and_liveness_does_not_care() -> None:
    operations = FakeOperations()
    operations.readiness.warmups["openai"] = Warmed()
    assert (await answer(operations, "/livez")).status == 200
    unready = await answer(operations, "/readyz")
    assert unready.status == 503
    assert wire.decode(unready.body)["warmups"]["openai"]["state"] == "pending"
    operations.readiness.warmups["openai"].state = "ready"
    assert (await answer(operations, "/readyz")).status == 200


async def test_a_reload_says_what_came_of_it() -> None:
    done = await answer(FakeOperations(), "/admin/reload")
    assert (done.status, wire.decode(done.body)) == (200, {"ok": True, "version": "abc"})
    assert (await answer(FakeOperations(ok=False), "/admin/reload")).status == 422


async def test_the_health_of_targets_is_shown() -> None:
    shown = await answer(FakeOperations(), "/admin/providers")
    assert (shown.status, wire.decode(shown.body)) == (200, {"targets": []})


def test_only_health_and_metrics_are_open_to_all() -> None:
    open_to_all = {route.path for route in admin_routes(FakeOperations()) if not route.guarded}
    assert open_to_all == {"/livez", "/readyz", "/metrics"}


@pytest.mark.parametrize(
    ("route", "answer"),
    [
        ("GET /admin/keys", {"asked": "keys"}),
        ("POST /admin/keys", {"asked": "create", "body": "{}"}),
        ("DELETE /admin/keys/{id}", {"asked": "revoke", "name": "abc"}),
        ("GET /admin/tenants", {"asked": "tenants"}),
    ],
)
async def test_keys_and_tenants_are_the_desks_business(route: str, answer: object) -> None:
    routes = {f"{each.method} {each.path}": each for each in admin_routes(FakeOperations())}
    given = await routes[route].answer(AdminRequest(name="abc", body=b"{}"))
    assert wire.decode(given.body) == answer
