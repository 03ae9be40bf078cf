"""Requests under way when their key is revoked or their tenant is taken out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.chat import Dialect
from gateway.core.exchange import Caller, Exchange
from gateway.core.keys import digest_of
from gateway.core.reply import Reply
from gateway.core.state import IssuedKey
from tests.fakes.raw_client import CHAT, STREAM, RawClient, connect, post
from tests.fakes.service import WHOLE, House, make_stream, open_house

KEY, OTHER = "tk-" + "k" * 32, "tk-" + "o" * 32
CALLERS = {"acme": Caller(tenant="acme"), "bob": Caller(tenant="bob")}
A, DONE = b'data: {"a":1}\n\n', b"data: [DONE]\n\n"


def issued(secret: str, **more: Any) -> IssuedKey:
    digest = digest_of(secret, b"")
    facts = {"tenant": "acme", "prefix": secret[:8], "created": 0.0}
    return IssuedKey(**{"id": digest[:12], "digest": digest, **facts, **more})


@asynccontextmanager
async def house_with_keys(reply: Any, **options: Any) -> AsyncIterator[tuple[House, RawClient]]:
    async with (
        open_house(reply, callers=CALLERS, **options) as house,
        connect(house.port) as client,
    ):
        house.service.keys.know([issued(KEY), issued(OTHER)])
        yield house, client


def revoke(house: House) -> None:
    house.service.keys.know([issued(KEY, revoked=1.0), issued(OTHER)])


def take_out(house: House) -> None:
    holder = house.service.holder
    holder.swap(replace(holder.current, version="next", callers={"bob": CALLERS["bob"]}))


@pytest.mark.parametrize("end", [revoke, take_out])
@pytest.mark.parametrize(
    ("dialect", "path"), [("openai", "/v1/chat/completions"), ("anthropic", "/v1/messages")]
)
async def test_a06_h03_an_open_stream_ends_with_an_error_in_its_own_dialect(
    dialect: Dialect, path: str, end: Any
) -> None:
    never = asyncio.Event()
    async with house_with_keys(make_stream([A, never], dialect)) as (house, client):
        client.send(post(STREAM, path, x_api_key=KEY))
        await client.head()
        read = await client.reader.readuntil(A)
        end(house)
        rest = await client.reader.read()
        outcome = await house.until_reported()
    assert read.endswith(A)
    assert b"This API key is not valid." in rest
    assert b"[DONE]" not in rest
    assert (b"event: error" in rest) == (dialect == "anthropic")
    assert (outcome.status, outcome.code, outcome.fault) == (200, "invalid_key", "caller")


@pytest.mark.parametrize("end", [revoke, take_out])
async def test_who_waits_for_a_first_byte_gets_the_401_of_a_wrong_key(end: Any) -> None:
    async def never(_exchange: Exchange) -> Reply:
        await asyncio.Event().wait()
        return WHOLE

    async with house_with_keys(never) as (house, client):
        client.send(post(CHAT, x_api_key=KEY))
        await house.until_asked()
        end(house)
        first = await client.answer()
        again = await client.ask(post(CHAT, x_api_key=KEY))
    assert (first.status, first.code) == (again.status, again.code) == (401, "invalid_key")
    assert first.json["error"]["message"] == again.json["error"]["message"]
    assert len(house.chain.exchanges) == 1


async def test_a_body_that_is_still_coming_is_answered_too() -> None:
    async with house_with_keys(WHOLE) as (house, client):
        client.send(post(CHAT, x_api_key=KEY)[:-10])
        async with asyncio.timeout(10):
            while not any(visit.caller.key for visit in house.edge._visits):
                await asyncio.sleep(0.002)
        revoke(house)
        answer = await client.answer()
        assert (answer.status, answer.code) == (401, "invalid_key")
        assert house.chain.exchanges == []


@pytest.mark.parametrize("end", [revoke, take_out])
async def test_whoever_may_finish_finishes_and_is_not_let_in_again(end: Any) -> None:
    goes_on = asyncio.Event()
    async with house_with_keys(make_stream([A, goes_on, DONE])) as (house, client):
        holder = house.service.holder
        holder.swap(replace(holder.current, version="kind", on_revoke="finish"))
        client.send(post(STREAM, x_api_key=KEY))
        await client.head()
        await client.reader.readuntil(A)
        end(house)
        goes_on.set()
        rest = await client.reader.readuntil(b"0\r\n\r\n")
        again = await client.ask(post(STREAM, x_api_key=KEY))
    assert DONE in rest
    assert again.status == 401


async def test_other_keys_of_the_tenant_go_on() -> None:
    goes_on = asyncio.Event()
    async with house_with_keys(make_stream([A, goes_on, DONE])) as (house, client):
        client.send(post(STREAM, x_api_key=OTHER))
        await client.head()
        await client.reader.readuntil(A)
        revoke(house)
        goes_on.set()
        assert DONE in await client.reader.readuntil(b"0\r\n\r\n")


async def test_without_a_tenants_file_a_tenant_that_only_a_key_names_is_not_gone() -> None:
    goes_on = asyncio.Event()
    async with house_with_keys(make_stream([A, goes_on, DONE])) as (house, client):
        holder = house.service.holder
        holder.swap(replace(holder.current, version="open", callers={}, closed=False))
        client.send(post(STREAM, x_api_key=KEY))
        await client.head()
        await client.reader.readuntil(A)
        holder.swap(replace(holder.current, version="again", callers={}))
        goes_on.set()
        assert DONE in await client.reader.readuntil(b"0\r\n\r\n")
