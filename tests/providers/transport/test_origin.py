"""Base URLs that are accepted, and what happens when a connection cannot be made."""

import asyncio
import datetime as dt
import ssl

import pytest
import trustme

from gateway.core.errors import UpstreamBroken, UpstreamTimeout
from gateway.providers.transport.client import Transport, TransportConfig
from gateway.providers.transport.origin import default_tls, parse_origin
from tests.fakes.clock import FakeClock
from tests.fakes.transports import FAR, open_transport
from tests.fakes.upstream import STALL, json_reply, open_upstream, raw_reply, sse_reply

LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("url", "authority", "path"),
    [
        ("http://127.0.0.1:8000/v1/", "127.0.0.1:8000", "/v1"),
        ("https://api.openai.com/v1", "api.openai.com", "/v1"),
        ("https://api.openai.com:443", "api.openai.com", ""),
        ("HTTPS://API.Example.com:8443/a/b", "api.example.com:8443", "/a/b"),
        ("http://[::1]:11434/v1", "[::1]:11434", "/v1"),
    ],
)
def test_a_base_url_becomes_an_origin(url: str, authority: str, path: str) -> None:
    origin = parse_origin(url)
    assert (origin.authority, origin.path) == (authority, path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.openai.com/v1",
        "ftp://host/",
        "file:///etc/passwd",
        "http://",
        "http:///v1",
        "http://user:pass@host/v1",
        "http://host/v1?key=1",
        "http://host/v1?",
        "http://host/v1#x",
        "http://host:99999/",
        "http://host:port/",
        "http://ho\r\nst/",
        "http://ho st/",
        "http://höst/",
        "http://host/\t",
        "http://ho%0ast/",
    ],
)
def test_anything_else_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_origin(url)
    assert "pass" not in str(caught.value).replace("password", "")


async def failure(transport: Transport) -> str:
    with pytest.raises(UpstreamBroken) as caught:
        await transport.request("POST", "/x", b"{}", deadline=FAR)
    assert transport.stats.in_use == 0
    return caught.value.code


async def test_a_closed_port_refuses() -> None:
    async with open_upstream([json_reply({})]) as up:
        url = up.url
    async with open_transport(url) as transport:
        assert await failure(transport) == "upstream_refused_connection"


async def test_a_name_that_does_not_exist_is_a_dns_failure() -> None:
    async with open_transport("http://nowhere.invalid/v1") as transport:
        assert await failure(transport) == "upstream_dns"


class Authority:
    """A certificate authority, and who trusts it."""

    def __init__(self) -> None:
        self.ca = trustme.CA()
        self.trust = ssl.create_default_context()
        self.ca.configure_trust(self.trust)

    def server(self, name: str, not_after: dt.datetime | None = None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(name, not_after=not_after).configure_cert(context)
        return context


async def test_a_trusted_upstream_is_asked_over_tls_and_reused() -> None:
    authority = Authority()
    script = [json_reply({}), sse_reply([b"x" * 100_000] * 10), json_reply({})]
    async with (
        open_upstream(script, tls=authority.server("127.0.0.1")) as up,
        open_transport(up.url, tls=authority.trust) as transport,
    ):
        for size in (2, 1_000_000, 2):
            response = await transport.request("POST", "/x", b"{}", deadline=FAR)
            await asyncio.sleep(0.02)
            assert len(await response.read()) == size
        assert up.connections == 1


async def test_a_body_that_ends_with_a_tls_connection_arrives_whole() -> None:
    authority = Authority()
    head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"
    async with (
        open_upstream([raw_reply([head, b"x" * 700_000])], tls=authority.server("127.0.0.1")) as up,
        open_transport(up.url, tls=authority.trust) as transport,
    ):
        response = await transport.request("POST", "/x", b"{}", deadline=FAR)
        await asyncio.sleep(0.02)
        assert len(await response.read()) == 700_000


async def test_closing_an_unfinished_body_closes_a_tls_connection_at_once() -> None:
    authority = Authority()
    async with (
        open_upstream([sse_reply([b"x", STALL])], tls=authority.server("127.0.0.1")) as up,
        open_transport(up.url, tls=authority.trust) as transport,
    ):
        response = await transport.request("POST", "/x", b"{}", deadline=FAR)
        response.close()
        async with asyncio.timeout(0.25):
            await up.until_closed()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("expired", "upstream_certificate_expired"),
        ("wrong host", "upstream_certificate_name"),
        ("untrusted", "upstream_tls"),
    ],
)
async def test_a_certificate_that_does_not_convince_is_a_failure_that_says_why(
    fault: str, code: str
) -> None:
    authority = Authority()
    name = "elsewhere.example" if fault == "wrong host" else "127.0.0.1"
    trust = default_tls() if fault == "untrusted" else authority.trust
    server = authority.server(name, LONG_AGO if fault == "expired" else None)
    async with (
        open_upstream([json_reply({})], tls=server) as up,
        open_transport(up.url, tls=trust) as transport,
    ):
        assert await failure(transport) == code
        assert up.requests == []


async def test_a_server_without_tls_is_never_spoken_to_in_the_clear() -> None:
    heard = bytearray()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read(1000))
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(hear, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with open_transport(f"https://127.0.0.1:{port}/v1") as transport:
            assert await failure(transport) == "upstream_tls"
    assert b"sk-upstream" not in heard
    assert b"HTTP/1.1" not in heard


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_handshake_that_is_broken_off_is_a_tls_failure(how: str) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        if how == "reset":
            writer.transport.abort()
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with open_transport(f"https://127.0.0.1:{port}/v1") as transport:
            assert await failure(transport) == "upstream_tls"


async def test_a_tls_handshake_that_hangs_ends_with_the_connect_budget() -> None:
    clock = FakeClock()
    async with (
        open_upstream([json_reply({})]) as up,
        open_transport(
            up.url.replace("http:", "https:"), TransportConfig(connect=5), clock=clock
        ) as transport,
    ):
        asking = asyncio.ensure_future(transport.request("POST", "/x", deadline=FAR))
        await up.until_connected()
        await clock.advance(5.1)
        with pytest.raises(UpstreamTimeout) as caught:
            await asking
        assert caught.value.code == "upstream_connect_timeout"
        await up.until_closed()
        assert transport.stats.in_use == 0


async def test_cancelling_while_connecting_closes_the_socket() -> None:
    async with (
        open_upstream([json_reply({})]) as up,
        open_transport(up.url.replace("http:", "https:")) as transport,
    ):
        asking = asyncio.ensure_future(transport.request("POST", "/x", deadline=FAR))
        await up.until_connected()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        async with asyncio.timeout(0.25):
            await up.until_closed()
        assert transport.stats.in_use == 0


def test_the_default_context_checks_names_and_refuses_old_versions() -> None:
    context = default_tls()
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
