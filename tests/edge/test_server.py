"""The door as callers meet it: who gets in, what they get back, and what is noted about it."""

import asyncio
import json

import pytest

from gateway.core.errors import GatewayError, UpstreamBusy, UpstreamDenied, UpstreamRefused
from gateway.core.exchange import Exchange
from gateway.core.notes import Cached, CacheResult
from gateway.core.reply import Answered, Reply, Whole
from tests.fakes.raw_client import CHAT, MESSAGE, connect, get, post
from tests.fakes.service import WHOLE, open_house

KEY = "tk-acme-0123456789"
OTHER = "tk-bob-01234567890"
DONE = [b'data: {"a":1}\n\n', b"data: [DONE]\n\n"]


async def test_a_whole_answer_is_explained_by_its_headers() -> None:
    async with open_house() as house, connect(house.port) as client:
        answer = await client.ask(post())
    assert answer.status == 200
    assert answer.body == WHOLE.body
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"] == "req-0001"
    assert "request-id" not in answer.headers
    assert {n: v for n, v in answer.headers.items() if n.startswith("x-turnout")} == {
        "x-turnout-model": "small",
        "x-turnout-provider": "acme",
        "x-turnout-attempts": "1",
        "x-turnout-policy": "default",
        "x-turnout-route": "asked for",
        "x-turnout-upstream-request-id": "up-1",
        "x-turnout-cost": "0.000020",
        "x-turnout-prompt-cached-tokens": "2",
        "x-turnout-overhead-ms": "0.00",
    }
    (outcome,) = house.outcomes
    assert (outcome.endpoint, outcome.status, outcome.code) == ("/v1/chat/completions", 200, "")
    assert (outcome.model, outcome.policy, outcome.stream) == ("small", "default", False)
    assert outcome.received == len(CHAT)
    assert outcome.upstream_id == "up-1"
    assert house.edge.in_flight == 0


async def test_the_chain_gets_what_was_sent_and_how_long_it_may_take() -> None:
    async with open_house() as house, connect(house.port) as client:
        await client.ask(
            post(
                x_turnout_deadline_ms="2500",
                x_turnout_drop_params="true",
                x_stainless_retry_count="2",
                x_request_id="mine",
            )
        )
    (exchange,) = house.chain.exchanges
    assert exchange.request.body == CHAT
    assert exchange.deadline == house.clock.now + 2.5
    assert exchange.drop_params
    assert exchange.id == "req-0001"
    assert house.outcomes[0].client_retry == 2


async def test_messages_carry_their_version_and_betas_and_both_request_ids() -> None:
    async with open_house() as house, connect(house.port) as client:
        answer = await client.ask(
            post(
                MESSAGE,
                "/v1/messages?beta=true",
                anthropic_version="2023-06-01",
                anthropic_beta="a-1, b-2",
            )
        )
    assert answer.headers["request-id"] == answer.headers["x-request-id"] == "req-0001"
    (exchange,) = house.chain.exchanges
    assert exchange.request.version == "2023-06-01"
    assert exchange.request.betas == ("a-1", "b-2")
    assert house.outcomes[0].endpoint == "/v1/messages"


async def test_without_a_key_nothing_is_asked_upstream() -> None:
    """A01."""
    async with open_house(keys={"acme": KEY}) as house, connect(house.port) as client:
        answer = await client.ask(post())
        assert answer.status == 401
        assert answer.code == "missing_key"
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["x-should-retry"] == "false"
        good = await client.ask(post(authorization=f"Bearer {KEY}"))
    assert good.status == 200
    assert len(house.chain.exchanges) == 1
    assert house.chain.exchanges[0].caller.tenant == "acme"


async def test_wrong_keys_get_one_and_the_same_body() -> None:
    """A02, A03."""
    async with open_house(keys={"acme": KEY}) as house, connect(house.port) as client:
        bodies = set()
        for key in ("tk-acme-0123456780", "' OR 1=1--", "k" * 8000, "schl\xfcssel"):
            answer = await client.ask(post(x_api_key=key))
            assert answer.status == 401
            bodies.add(answer.body.replace(answer.headers["x-request-id"].encode(), b""))
        nul = await client.ask(post(x_api_key="a\0b"))
    assert len(bodies) == 1
    assert nul.status == 400
    logged = repr(house.outcomes)
    assert "OR 1=1" not in logged
    assert "kkkk" not in logged
    assert not house.chain.exchanges


async def test_two_credentials_are_refused() -> None:
    """A04."""
    double = post(authorization=f"Bearer {KEY}", x_api_key="another")
    twice = post(authorization=f"Bearer {KEY}", Authorization=f"Bearer {KEY}")
    async with open_house(keys={"acme": KEY}) as house, connect(house.port) as client:
        for request in (double, twice):
            answer = await client.ask(request)
            assert (answer.status, answer.code) == (400, "duplicate_credential")
    assert not house.chain.exchanges


async def test_both_headers_lead_to_the_same_answer_and_a_key_in_the_url_to_none() -> None:
    """A05."""
    async with open_house(keys={"acme": KEY}) as house, connect(house.port) as client:
        by_header = [
            (await client.ask(post(**{name: value}))).status
            for name, value in (("authorization", f"Bearer {KEY}"), ("x_api_key", KEY))
        ]
        in_url = await client.ask(post(CHAT, f"/v1/chat/completions?api_key={KEY}"))
    assert by_header == [200, 200]
    assert (in_url.status, in_url.code) == (401, "key_in_url")
    assert KEY not in repr(house.outcomes)
    assert KEY.encode() not in in_url.body


@pytest.mark.parametrize(
    "field", ["api_base", "base_url", "api_key", "custom_host", "organization"]
)
async def test_no_field_of_the_body_chooses_host_or_key(field: str) -> None:
    """A09."""
    body = json.dumps({**json.loads(CHAT), field: "http://evil.example"}).encode()
    async with open_house() as house, connect(house.port) as client:
        answer = await client.ask(post(body))
    assert (answer.status, answer.code) == (400, "unknown_parameter")
    assert answer.json["error"]["param"] == field
    assert b"evil" not in answer.body
    assert not house.chain.exchanges


async def test_forwarding_and_hop_headers_of_strangers_mean_nothing() -> None:
    """A10, A13: the address that counts is the peer's; `Connection` hides no credential."""
    async with open_house(keys={"acme": KEY}) as house, connect(house.port) as client:
        statuses = [
            (await client.ask(post(x_api_key=f"guess {n}", x_forwarded_for=f"10.0.0.{n}"))).status
            for n in range(25)
        ]
        answer = await client.ask(post(x_api_key="guess"))
        good = await client.ask(post(authorization=f"Bearer {KEY}", connection="authorization"))
    assert statuses == [401] * 20 + [429] * 5
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert good.status == 200


async def test_models_are_listed_in_the_callers_dialect() -> None:
    async with open_house() as house, connect(house.port) as client:
        openai = await client.ask(get("/v1/models"))
        anthropic = await client.ask(get("/v1/models", anthropic_version="2023-06-01"))
        one = await client.ask(get("/v1/models/org/large"))
        none = await client.ask(get("/v1/models/huge", anthropic_version="2023-06-01"))
    assert openai.json["object"] == "list"
    assert anthropic.json["has_more"] is False
    assert one.json["id"] == "org/large"
    assert none.status == 404
    assert none.json["error"]["type"] == "not_found_error"
    assert [o.endpoint for o in house.outcomes][2:] == ["/v1/models/{id}"] * 2


async def test_health_needs_no_key_and_says_when_not_to_come() -> None:
    async with open_house(keys={"acme": KEY}) as house, connect(house.port) as client:
        assert (await client.ask(get("/livez"))).status == 200
        ready = await client.ask(get("/readyz"))
        house.service.readiness.draining = True
        not_ready = await client.ask(get("/readyz"))
    assert (ready.status, ready.json["ready"]) == (200, True)
    assert (not_ready.status, not_ready.json) == (503, {"ready": False, "because": ["draining"]})


async def test_head_is_a_get_without_its_body() -> None:
    async with open_house() as house, connect(house.port) as client:
        head = await client.ask(get("/livez", "HEAD"), without_body=True)
        assert int(head.headers["content-length"]) > 0
        refused = await client.ask(get("/v1/messages", "HEAD"), without_body=True)
        assert refused.status == 405
        assert (await client.ask(get("/livez"))).status == 200
    del house


async def test_the_wrong_method_is_told_the_right_one() -> None:
    async with open_house() as house, connect(house.port) as client:
        answer = await client.ask(get("/v1/messages", "DELETE"))
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert answer.json["type"] == "error"
    assert house.outcomes[0].endpoint == "/v1/messages"


async def test_an_unknown_path_is_answered_in_the_dialect_it_seems_to_be_meant_in() -> None:
    async with open_house() as house, connect(house.port) as client:
        openai = await client.ask(get("/v1/secret-path"))
        anthropic = await client.ask(get("/v1/messages/batches"))
    assert (openai.status, openai.code) == (404, "not_found")
    assert b"secret" not in openai.body
    assert anthropic.json["error"]["type"] == "not_found_error"
    assert {o.endpoint for o in house.outcomes} == {"other"}


async def test_a_bug_is_a_constant_500_and_only_its_place_is_logged() -> None:
    """K12."""

    async def broken(exchange: Exchange) -> Reply:
        raise ZeroDivisionError(f"secret {exchange.request.body!r}")

    async with open_house(broken) as house, connect(house.port) as client:
        answer = await client.ask(post())
        again = await client.ask(get("/livez"))
    assert answer.status == 500
    assert answer.json["error"] == {
        "message": "The gateway failed.",
        "type": "server_error",
        "param": None,
        "code": "internal_error",
        "request_id": "req-0001",
    }
    assert again.status == 200
    outcome = house.outcomes[0]
    assert outcome.detail.startswith("ZeroDivisionError at test_server.py:")
    assert "secret" not in outcome.detail
    assert (outcome.code, outcome.fault, outcome.status) == ("internal_error", "gateway", 500)


@pytest.mark.parametrize(
    ("error", "status", "header"),
    [
        (UpstreamBusy("-", status=429, retry_after=2.5), 429, ("retry-after", "3")),
        (UpstreamBusy("-", status=529), 503, None),
        (UpstreamDenied("-"), 502, ("x-should-retry", "false")),
    ],
)
async def test_a_providers_failure_becomes_the_callers_answer(
    error: GatewayError, status: int, header: tuple[str, str] | None
) -> None:
    async with open_house(error) as house, connect(house.port) as client:
        answer = await client.ask(post())
    assert answer.status == status
    assert header is None or header in answer.headers.items()
    assert house.outcomes[0].fault == "upstream"


async def test_nothing_of_an_upstream_can_break_a_header() -> None:
    """J02, D03: only our own headers are sent, whatever the values that go into them."""
    answered = Answered(
        provider="acme\r\nset-cookie: a=1",
        model="small",
        request_id="up\r\n\r\nHTTP/1.1 200\r\n" + "x" * 999,
        dropped=("seed", "top_k\n"),
        degraded=("estimated-tokens",),
    )
    refusal = UpstreamRefused("-", status=400, body=b'{"error":{"message":"no"}}')
    async with open_house(Whole(b"{}", answered=answered)) as house, connect(house.port) as client:
        answer = await client.ask(post())
        house.chain.reply = refusal
        refused = await client.ask(post())
    assert answer.headers["x-turnout-provider"] == "acme?set-cookie: a=1"
    assert answer.headers["x-turnout-upstream-request-id"].startswith("up?HTTP/1.1 200?xxx")
    assert len(answer.headers["x-turnout-upstream-request-id"]) == 256
    assert answer.headers["x-turnout-dropped"] == "seed, top_k?"
    assert answer.headers["x-turnout-degraded"] == "estimated-tokens"
    assert "x-turnout-cost" not in answer.headers
    assert "set-cookie" not in answer.headers
    assert refused.body == refusal.body


async def test_a_request_whose_time_is_up_is_answered_504() -> None:
    async def forever(exchange: Exchange) -> Reply:
        await asyncio.Event().wait()
        return WHOLE

    async with open_house(forever) as house, connect(house.port) as client:
        client.send(post(x_turnout_deadline_ms="5000"))
        await house.until_asked()
        await house.clock.advance(5)
        answer = await client.answer()
        assert (answer.status, answer.code) == (504, "deadline_exceeded")
        assert (await client.ask(get("/livez"))).status == 200
    assert house.outcomes[0].code == "deadline_exceeded"


async def test_a_client_that_leaves_before_the_answer_cancels_it() -> None:
    """E02."""
    cancelled = asyncio.Event()

    async def forever(exchange: Exchange) -> Reply:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return WHOLE

    async with open_house(forever) as house:
        for leave in ("vanish", "reset", "half_close"):
            cancelled.clear()
            async with connect(house.port) as client:
                client.send(post())
                await house.until_asked(len(house.chain.exchanges) + 1)
                getattr(client, leave)()
                async with asyncio.timeout(1):
                    await cancelled.wait()
        await house.until_reported(3)
    assert [(o.status, o.code, o.fault) for o in house.outcomes] == [
        (499, "client_gone", "caller")
    ] * 3


async def test_what_was_answered_from_memory_is_not_read_again_for_its_tenant() -> None:
    results: list[CacheResult] = ["miss", "hit-exact", "hit-exact", "hit-exact"]

    async def answer(exchange: Exchange) -> Reply:
        exchange.notes.add(Cached(results[len(house.chain.exchanges) - 1]))
        return WHOLE

    async with open_house(answer, keys={"acme": KEY, "bob": OTHER}) as house:
        for key in (KEY, KEY, KEY, OTHER):
            async with connect(house.port) as client:
                assert (await client.ask(post(authorization=f"Bearer {key}"))).status == 200
    missed, hit, again, other = [exchange.request for exchange in house.chain.exchanges]
    assert hit is not missed
    assert again is hit
    assert other is not hit
    assert other == hit
