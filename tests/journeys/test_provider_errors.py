"""Statuses of the provider, as either kind of client meets them."""

from email.utils import formatdate
from time import time

import pytest

from tests.fakes import answers
from tests.journeys.journey import QUADRANTS, open_journey


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ({"retry-after": "7"}, (7, 7)),
        ({"retry-after": "0"}, (0, 0)),
        ({"retry-after-ms": "200"}, (0.2, 1)),
        ({"retry-after-ms": "200", "retry-after": "9"}, (0.2, 1)),
        ({"retry-after": "130"}, (60, 60)),
        ({"retry-after": "99999999"}, (60, 60)),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({}, None),
    ],
    ids=str,
)
@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_a_429_says_when_to_come_back(
    caller: str,
    provider: str,
    said: dict[str, str],
    seconds: tuple[float, float] | None,
    stream: bool,
) -> None:
    """Wire C 429: in both forms, never above 60 s (some SDKs wait for anything)."""
    busy = answers.error(provider, 429, "rate_limit_error", "Slow down.", **said)
    async with open_journey([busy], provider) as journey:
        answer = await journey.ask(caller, stream=stream)
    assert answer.status == 429
    assert answer.json["error"]["message"] == "Slow down."
    assert ("type" in answer.json) == (caller == "anthropic")
    if seconds is None:
        assert "retry-after" not in answer.headers
        assert "retry-after-ms" not in answer.headers
    else:
        assert float(answer.headers["retry-after-ms"]) == seconds[0] * 1000
        assert float(answer.headers["retry-after"]) == seconds[1]
    assert "x-should-retry" not in answer.headers
    assert (journey.event["status"], journey.event["code"]) == (429, "upstream_busy")
    assert journey.event["attempts"] == len(journey.upstream.requests) == 1


@pytest.mark.parametrize(("ahead", "least", "most"), [(30, 20, 30), (-30, 0, 0), (3600, 60, 60)])
async def test_a_429_with_a_date_is_told_in_seconds(ahead: int, least: int, most: int) -> None:
    """Wire C 429: an HTTP date."""
    date = formatdate(time() + ahead, usegmt=True)
    busy = answers.error("openai", 429, "rate_limit_error", "Slow down.", **{"retry-after": date})
    async with open_journey([busy]) as journey:
        answer = await journey.ask()
    assert least <= int(answer.headers["retry-after"]) <= most


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("status", "expected", "kind"),
    [
        (400, (400, 400), "invalid_request_error"),
        (404, (404, 404), "not_found_error"),
        (409, (409, 409), "conflict_error"),
        (413, (413, 413), "request_too_large"),
        (422, (422, 422), "invalid_request_error"),
        (500, (502, 502), "api_error"),
        (502, (502, 502), "api_error"),
        (503, (503, 529), "overloaded_error"),
        (529, (503, 529), "overloaded_error"),
        (504, (504, 504), "timeout_error"),
        (408, (504, 504), "timeout_error"),
        (418, (418, 418), "invalid_request_error"),
    ],
)
@pytest.mark.parametrize("pair", QUADRANTS)
async def test_a_providers_status_in_the_callers_dialect(
    pair: tuple[str, str], status: int, expected: tuple[int, int], kind: str, stream: bool
) -> None:
    """Wire C 500/529 and E2: status, shape and type fit what the caller's SDK expects."""
    caller, provider = pair
    failed = answers.error(provider, status, kind, "It is so.")
    async with open_journey([failed], provider) as journey:
        answer = await journey.ask(caller, stream=stream)
    assert answer.status == expected[caller == "anthropic"]
    if caller == "anthropic":
        assert answer.json["type"] == "error"
        assert answer.json["error"]["type"] == kind
    else:
        assert {"message", "type"} <= answer.json["error"].keys()
        assert "type" not in answer.json
    assert (answer.json["error"]["message"] == "It is so.") == (status not in {408, 500, 502, 504})
    assert journey.event["fault"] == ("caller" if status in {400, 413, 422} else "upstream")
    assert "/v1/" in journey.event["detail"]


@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_an_error_explains_itself_as_an_answer_does(caller: str, provider: str) -> None:
    name = "request-id" if provider == "anthropic" else "x-request-id"
    busy = answers.error(provider, 429, "rate_limit_error", "Later.", **{name: "up-429"})
    async with open_journey([busy], provider) as journey:
        answer = await journey.ask(caller)
    shown = {header: answer.headers[f"x-turnout-{header}"] for header in ("provider", "policy")}
    assert shown == {"provider": journey.event["answered_by"], "policy": "default"}
    assert answer.headers["x-turnout-model"] == journey.event["answered_model"]
    assert answer.headers["x-turnout-attempts"] == "1"
    assert float(answer.headers["x-turnout-overhead-ms"]) >= 0
    assert answer.headers["x-turnout-upstream-request-id"] == "up-429"
    assert journey.event["upstream_id"] == "up-429"
    assert journey.event["ttft_ms"] is None


@pytest.mark.parametrize("status", [401, 402, 403])
@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_our_own_key_refused_is_no_fault_of_the_caller(
    caller: str, provider: str, status: int
) -> None:
    """Wire C 4: a 401 of the provider must not look like one of ours; no SDK should try again."""
    denied = answers.error(provider, status, "authentication_error", "Incorrect API key.")
    async with open_journey([denied], provider) as journey:
        answer = await journey.ask(caller)
    assert answer.status == 502
    assert answer.headers["x-should-retry"] == "false"
    assert b"Incorrect" not in answer.body
    assert journey.event["code"] == "upstream_denied"


@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_a_used_up_quota_is_not_worth_another_try(caller: str, provider: str) -> None:
    """Wire C "429 insufficient_quota": SDKs would repeat it three times."""
    spent = answers.error(provider, 429, "insufficient_quota", "Out.", **{"retry-after": "1"})
    async with open_journey([spent], provider) as journey:
        answer = await journey.ask(caller)
    assert answer.status == 429
    assert answer.headers["x-should-retry"] == "false"
    assert "retry-after" not in answer.headers
    assert journey.event["code"] == "upstream_quota"


async def test_a_wrong_key_of_the_caller_is_not_worth_another_try() -> None:
    """Wire C 4: 401 with x-should-retry: false; the provider never hears of it."""
    async with open_journey([answers.whole("openai")]) as journey:
        request = journey.request().replace(b"Bearer tk-", b"Bearer xk-")
        async with journey.client() as client:
            answer = await client.ask(request)
    assert (answer.status, answer.headers["x-should-retry"]) == (401, "false")
    assert not journey.upstream.requests


async def test_an_sdks_own_tries_are_told_apart_in_the_log() -> None:
    """Wire C 5: x-stainless-retry-count."""
    async with open_journey([answers.stream("openai")]) as journey:
        request = journey.request().replace(b"host: ", b"x-stainless-retry-count: 2\r\nhost: ")
        async with journey.client() as client:
            assert (await client.ask(request)).status == 200
    assert journey.event["client_retry"] == 2
