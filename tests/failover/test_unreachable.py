"""F03: names that are slow to resolve and certificates that do not convince, through the stage."""

import asyncio
import datetime as dt
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from gateway.providers.transport.origin import default_tls
from tests.failover.pool import open_pool
from tests.fakes import answers
from tests.fakes.upstream import Script, open_upstream

GOOD: Script = [answers.stream("openai")]
LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@contextmanager
def trusted(ca: trustme.CA, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this machine trust an authority."""
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
    default_tls.cache_clear()
    try:
        yield
    finally:
        default_tls.cache_clear()


async def followed(url: str, code: str) -> None:
    """Ask a pool whose first provider is at `url`: its failure is met once, and counted."""
    async with open_pool(GOOD, GOOD, urls={"a": url}) as pool:
        answer = await pool.ask()
        metrics = await pool.metrics()
    assert (answer.status, answer.headers["x-turnout-provider"]) == (200, "b")
    assert answer.headers["x-turnout-route"] == f"failover: a {code}"
    [event] = pool.events
    assert event["tried"] == [f"a/m-a: {code}", "b/m-b: ok"]
    assert event["duration_ms"] < 2_000
    assert pool.tries() == [0, 1]
    counted = re.findall(r"turnout_upstream_attempts_total\{(.*)\} (.*)", metrics)
    assert [value for labels, value in counted if f'"{code}"' in labels] == ["1.0"]
    async with open_pool(GOOD, urls={"a": url}) as alone:
        answer = await alone.ask()
    assert answer.status in {502, 504}
    [event] = alone.events
    assert (event["attempts"], event["code"]) == (1, code)


@pytest.mark.parametrize(
    ("fault", "code"),
    [("expired", "upstream_certificate_expired"), ("wrong host", "upstream_certificate_name")],
)
async def test_f03_a_certificate_that_does_not_convince_is_followed_by_the_next(
    fault: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    name = "elsewhere.example" if fault == "wrong host" else "127.0.0.1"
    ca.issue_cert(name, not_after=LONG_AGO if fault == "expired" else None).configure_cert(context)
    with trusted(ca, tmp_path, monkeypatch):
        async with open_upstream(GOOD, tls=context) as upstream:
            await followed(upstream.url, code)
            assert upstream.requests == []


def test_f03_a_name_that_is_slow_to_resolve_is_followed_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, over = socket.getaddrinfo, threading.Event()

    def resolve(host: Any, *rest: Any, **more: Any) -> Any:
        if host in {"slow.invalid", b"slow.invalid"}:
            over.wait(20)
        return real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    # The loop of the language resolves through this function, uvloop in the C library.
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        try:
            runner.run(followed("http://slow.invalid/v1", "upstream_connect_timeout"))
        finally:
            over.set()
