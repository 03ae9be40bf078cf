"""A11: every route there is, asked by nobody, by a tenant and by the operator.

A route that is not in the table fails; so does a line of the table without a route.
"""

import json
from collections.abc import Iterator

import pytest

from gateway.edge.admin_routes import admin_routes
from gateway.edge.routes import ALL_ROUTES
from tests.fakes.gateway import DEMO, open_test_gateway
from tests.fakes.operations import FakeOperations
from tests.fakes.raw_client import connect, get, post

TENANT, OPERATOR = "tenant-key", "operator-token"
WHO = {"nobody": "", "tenant": TENANT, "operator": OPERATOR}

CLIENTS = {
    "POST /v1/chat/completions": (401, 200, 401),
    "POST /v1/completions": (401, 200, 401),
    "POST /v1/embeddings": (401, 200, 401),
    "POST /v1/messages": (401, 200, 401),
    "POST /v1/messages/count_tokens": (401, 200, 401),
    "GET /v1/models": (401, 200, 401),
    "GET /v1/models/{id}": (401, 200, 401),
    "GET /livez": (200, 200, 200),
    "GET /readyz": (200, 200, 200),
}
OPERATORS = {
    "GET /livez": (200, 200, 200),
    "GET /readyz": (200, 200, 200),
    "GET /metrics": (200, 200, 200),
    "GET /admin/providers": (401, 401, 200),
    "POST /admin/reload": (401, 401, 200),
    "GET /admin/keys": (401, 401, 200),
    "POST /admin/keys": (401, 401, 400),  # what is sent here is no key
    "DELETE /admin/keys/{id}": (401, 401, 404),
    "GET /admin/tenants": (401, 401, 200),
    "GET /admin/cache": (401, 401, 200),
    "DELETE /admin/cache": (401, 401, 400),  # nothing is named
    "POST /admin/cache/feedback": (401, 401, 400),
}
BODY = {
    "model": "demo",
    "messages": [{"role": "user", "content": "hi"}],
    "prompt": "hi",
    "input": "hi",
    "max_tokens": 9,
}
MODELS = {
    "demo": {**DEMO["simulated/demo"], "endpoints": ["chat", "completions", "embeddings"]},
}


def cases() -> Iterator[tuple[str, str, str, int]]:
    for door, table in (("listen", CLIENTS), ("admin", OPERATORS)):
        for route, statuses in table.items():
            for who, status in zip(WHO, statuses, strict=True):
                yield door, route, who, status


def test_every_route_is_in_the_table() -> None:
    assert {f"{route.method} {route.template}" for route in ALL_ROUTES} == set(CLIENTS)
    admin = admin_routes(FakeOperations())
    assert {f"{route.method} {route.path}" for route in admin} == set(OPERATORS)


@pytest.mark.parametrize(("door", "route", "who", "status"), list(cases()))
async def test_a11_each_route_answers_each_caller_as_the_table_says(
    door: str, route: str, who: str, status: int
) -> None:
    settings = {"keys": {"alice": "env:KEY"}, "admin_token": "env:TOKEN"}
    environment = {"KEY": TENANT, "TOKEN": OPERATOR}
    method, path = route.replace("{id}", "demo").split()
    headers = {"authorization": f"Bearer {WHO[who]}"} if WHO[who] else {}
    body = json.dumps(BODY).encode()
    async with open_test_gateway(environment, models=MODELS, settings=settings) as gateway:
        port = gateway.gateway.port if door == "listen" else gateway.gateway.admin_port
        request = post(body, path, **headers) if method == "POST" else get(path, **headers)
        request = request.replace(b"GET", method.encode(), 1)
        async with connect(port) as client:
            answer = await client.ask(request)
    assert answer.status == status
