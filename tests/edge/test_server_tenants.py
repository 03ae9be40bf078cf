"""A tenant's policy and models at the door."""

import json

import pytest

from gateway.core.exchange import Caller
from tests.fakes.raw_client import connect, get, post
from tests.fakes.service import open_house

KEY = "tk-acme-0123456789"
KEYS = {"acme": KEY}
RESTRICTED = {"acme": Caller(tenant="acme", models=frozenset({"small", "fast"}))}


def ask(model: str) -> bytes:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    return post(json.dumps(body).encode(), x_api_key=KEY)


@pytest.mark.parametrize("model", ["small", "fast"])
async def test_a08_a_model_on_the_list_is_served(model: str) -> None:
    async with (
        open_house(keys=KEYS, callers=RESTRICTED) as house,
        connect(house.port) as client,
    ):
        assert (await client.ask(ask(model))).status == 200


@pytest.mark.parametrize(
    "model",
    ["org/large", "Small", "SMALL", " small", "small ", "small@x", "small/../org/large", "*", "s*"],
)
async def test_a08_any_other_spelling_of_a_model_is_403(model: str) -> None:
    async with (
        open_house(keys=KEYS, callers=RESTRICTED) as house,
        connect(house.port) as client,
    ):
        answer = await client.ask(ask(model))
        assert answer.status == 403
        assert json.loads(answer.body)["error"]["code"] == "model_not_allowed"
        assert model not in json.loads(answer.body)["error"]["message"]
        assert house.chain.exchanges == []


async def test_a08_the_list_of_models_holds_the_allowed_ones_only() -> None:
    callers = {"acme": Caller(tenant="acme", models=frozenset({"small"}))}
    async with open_house(keys=KEYS, callers=callers) as house, connect(house.port) as client:
        listed = await client.ask(get("/v1/models", x_api_key=KEY))
        assert [model["id"] for model in json.loads(listed.body)["data"]] == ["small"]
        claude = await client.ask(get("/v1/models", x_api_key=KEY, anthropic_version="2023-06-01"))
        assert json.loads(claude.body)["last_id"] == "small"
        hidden = await client.ask(get("/v1/models/fast", x_api_key=KEY))
        unknown = await client.ask(get("/v1/models/nope", x_api_key=KEY))
        assert hidden.status == unknown.status == 404
        without_id = [
            {**json.loads(answer.body)["error"], "request_id": ""} for answer in (hidden, unknown)
        ]
        assert without_id[0] == without_id[1]


async def test_a_tenants_own_policy_is_applied() -> None:
    callers = {"acme": Caller(tenant="acme", policy="research", labels={"team": "ml"})}
    async with (
        open_house(keys=KEYS, callers=callers, policies=("research",)) as house,
        connect(house.port) as client,
    ):
        answer = await client.ask(ask("small"))
    assert answer.headers["x-turnout-policy"] == "research"
    (exchange,) = house.chain.exchanges
    assert (exchange.policy, exchange.caller.labels) == ("research", {"team": "ml"})
    assert house.outcomes[0].policy == "research"


async def test_only_headers_that_a_policy_names_are_carried() -> None:
    async with open_house(headers=("x-team", "x-app")) as house, connect(house.port) as client:
        await client.ask(post(X_Team="ml", x_other="1", authorization="Bearer k"))
        assert house.chain.exchanges[0].headers == {"x-team": "ml"}


async def test_every_request_gives_its_snapshot_back() -> None:
    async with open_house() as house, connect(house.port) as client:
        await client.ask(post())
        await client.ask(get("/v1/models"))
        await house.until_reported(2)
        assert house.service.holder.in_use == {"test": 0}
