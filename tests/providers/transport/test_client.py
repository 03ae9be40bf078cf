"""What is sent to an upstream, and that no text of a caller can bend it."""

import pytest

from gateway.core.errors import BadRequest, UpstreamTimeout
from gateway.providers.transport.client import Transport
from tests.fakes.runtime import make_runtime
from tests.fakes.transports import FAR, open_transport
from tests.fakes.upstream import json_reply, open_upstream

BODY = b'{"model":"m"}'


async def test_a_request_is_sent_byte_for_byte_as_expected() -> None:
    headers = {"Authorization": "Bearer sk-1", "Content-Type": "application/json; v=1"}
    async with (
        open_upstream([json_reply({})]) as up,
        open_transport(up.url, headers=headers) as transport,
    ):
        for extra in ({}, {"anthropic-beta": "a,b"}):
            response = await transport.request(
                "POST", "/chat/completions", BODY, headers=extra, deadline=FAR
            )
            await response.read()
        expected = (
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n"
            b"accept-encoding: identity\r\ncontent-type: application/json; v=1\r\n"
            b"user-agent: turnout\r\nauthorization: Bearer sk-1\r\n" % up.port
        )
        assert up.requests[0].head == expected + b"content-length: 13\r\n\r\n"
        assert (
            up.requests[1].head == expected + b"anthropic-beta: a,b\r\ncontent-length: 13\r\n\r\n"
        )
        assert up.requests[0].body == BODY


async def test_a_large_body_arrives_whole() -> None:
    body = bytes(range(256)) * 20_000
    async with open_upstream([json_reply({})]) as up, open_transport(up.url) as transport:
        response = await transport.request("POST", "/x", body, deadline=FAR)
        await response.read()
        assert up.requests[0].body == body


@pytest.mark.parametrize(("method", "length"), [("GET", None), ("DELETE", None), ("POST", "0")])
async def test_a_request_without_a_body_says_so_where_it_must(
    method: str, length: str | None
) -> None:
    async with open_upstream([json_reply({})]) as up, open_transport(up.url) as transport:
        response = await transport.request(method, "/models?api-version=1", deadline=FAR)
        await response.read()
        assert up.requests[0].path == "/v1/models?api-version=1"
        assert up.requests[0].headers.get("content-length") == length


async def test_very_many_paths_do_not_pile_up() -> None:
    async with open_upstream([json_reply({})]) as up, open_transport(up.url) as transport:
        for i in range(600):
            transport._new_head("GET", f"/models/{i}")
        assert len(transport._heads) <= 256
        response = await transport.request("GET", "", deadline=FAR)
        await response.read()
        assert up.requests[0].path == "/v1"


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer a\r\nx: y"},
        {"authorization": "Bearer a\nb"},
        {"authorization": "Bearer a\0"},
        {"authorization": "Bearer é"},
        {"x y": "z"},
        {"x:": "z"},
        {"": "z"},
        {"Host": "elsewhere"},
        {"Transfer-Encoding": "chunked"},
        {"Content-Length": "1"},
    ],
)
def test_constant_headers_that_cannot_be_sent_are_refused_at_once(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError) as caught:
        Transport("http://127.0.0.1/", headers, make_runtime())
    assert "Bearer" not in str(caught.value)


async def test_a_header_value_that_cannot_be_sent_is_the_callers_fault_and_not_echoed() -> None:
    async with open_upstream([json_reply({})]) as up, open_transport(up.url) as transport:
        for value in ("evil\r\nx: y", "evil\n", "evil\0", "evil\x7f", "evilé"):
            with pytest.raises(BadRequest) as caught:
                await transport.request("GET", "/x", headers={"x-beta": value}, deadline=FAR)
            assert "evil" not in caught.value.public
            assert caught.value.param == "x-beta"
        assert up.connections == 0


async def test_our_own_mistakes_are_told_as_such() -> None:
    async with open_transport("http://127.0.0.1:9/v1") as transport:
        for method, path, headers in [
            ("GET", "no-slash", {}),
            ("GET", "/a b", {}),
            ("GET", "/a\r\n", {}),
            ("GET", "/a#b", {}),
            ("CONNECT", "/a", {}),
            ("GET\r\n", "/a", {}),
            ("GET", "/a", {"Connection": "close"}),
            ("GET", "/a", {"x y": "z"}),
        ]:
            with pytest.raises(ValueError):
                await transport.request(method, path, headers=headers, deadline=FAR)


async def test_a_deadline_that_has_passed_sends_nothing() -> None:
    async with open_upstream([json_reply({})]) as up, open_transport(up.url) as transport:
        with pytest.raises(UpstreamTimeout) as caught:
            await transport.request("GET", "/x", deadline=0)
        assert caught.value.code == "upstream_timeout"
        assert up.connections == 0


def test_our_secrets_are_masked_in_what_an_upstream_says() -> None:
    headers = {
        "authorization": "Bearer sk-secret/123",
        "x-api-key": "key-abcdefgh",
        "anthropic-version": "2023-06-01",
        "api-key": "short",
    }
    transport = Transport("http://127.0.0.1/", headers, make_runtime())
    said = (
        b'{"error":{"message":"Bad sk-secret/123, sk-secret\\/123, Bearer sk-secret/123 or '
        b'key-abcdefgh; 2023-06-01 is short"}}'
    )
    shown = transport.redact(said)
    assert shown == b'{"error":{"message":"Bad ***, ***, *** or ***; 2023-06-01 is short"}}'
