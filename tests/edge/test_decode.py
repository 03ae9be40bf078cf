"""Bodies: what is read, what is refused, and how much may be held."""

import asyncio
import gzip
import json
import zlib
from typing import Any

import pytest

from gateway.core.exchange import Exchange
from gateway.core.reply import Reply
from gateway.edge.decode import LARGE
from gateway.settings import Limits
from tests.fakes.raw_client import CHAT, MESSAGE, chunked, connect, post
from tests.fakes.service import WHOLE, open_house

SMALL = Limits(body=100_000)


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    "content_type",
    ["", "application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"'],
)
async def test_json_is_read_however_it_is_announced(content_type: str) -> None:
    async with open_house() as house, connect(house.port) as client:
        assert (await client.ask(post(content_type=content_type))).status == 200
    assert house.chain.exchanges[0].request.body == CHAT


@pytest.mark.parametrize(
    "headers",
    [
        {"content_type": "text/plain"},
        {"content_type": "multipart/form-data; boundary=x"},
        {"content_type": "application/json; charset=utf-16"},
        {"content_encoding": "br"},
        {"content_encoding": "zstd"},
        {"content_encoding": "gzip, gzip"},
        {"content_encoding": "x"},
    ],
)
async def test_other_media_are_refused(headers: dict[str, str]) -> None:
    """D08."""
    async with open_house() as house, connect(house.port) as client:
        answer = await client.ask(post(**headers))
    assert (answer.status, answer.code) == (415, "unsupported_media_type")
    assert not house.chain.exchanges


@pytest.mark.parametrize(
    ("coding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate)],
)
async def test_a_compressed_body_is_unpacked(coding: str, pack: Any) -> None:
    """D08."""
    async with open_house() as house, connect(house.port) as client:
        assert (await client.ask(post(pack(CHAT), content_encoding=coding))).status == 200
        big = json.dumps({**json.loads(CHAT), "user": "ab" * 90_000}).encode()
        assert (await client.ask(post(pack(big), content_encoding=coding))).status == 200
    assert house.chain.exchanges[0].request.body == CHAT
    assert house.chain.exchanges[1].request.body == big
    assert house.edge._bodies.held == 0


PACKED = gzip.compress(CHAT, mtime=0)


@pytest.mark.parametrize(
    ("body", "coding", "status"),
    [
        (gzip.compress(b" " * 50_000_000, mtime=0), "gzip", 413),
        (zlib.compress(b" " * 50_000_000), "deflate", 413),
        (gzip.compress(b" " * 50_000_000, mtime=0)[:-4] + b"\xff" * 4, "gzip", 400),
        (gzip.compress(b" " * 50_000_000, mtime=0)[:-4] + b"\x64\x00\x00\x00", "gzip", 400),
        (gzip.compress(b" " * 50_000_000, mtime=0)[:-4] + b"\xa0\x86\x01\x00", "gzip", 413),
        (PACKED[:-9], "gzip", 400),
        (PACKED + b"x", "gzip", 400),
        (PACKED + PACKED, "gzip", 400),
        (CHAT, "gzip", 400),
        (CHAT, "deflate", 400),
        (b"", "deflate", 400),
        (gzip.compress(PACKED, mtime=0), "gzip", 400),
    ],
)
async def test_bombs_and_broken_compression_are_refused(
    body: bytes, coding: str, status: int
) -> None:
    """D08."""
    async with open_house(limits=SMALL) as house, connect(house.port) as client:
        answer = await client.ask(post(body, content_encoding=coding))
    assert answer.status == status
    assert not house.chain.exchanges


async def test_an_honest_bomb_is_refused_without_unpacking_any_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """D08: gzip says at its end how large it is, so nothing needs to be unpacked to know."""
    monkeypatch.delattr(zlib, "decompressobj")
    bomb = gzip.compress(b" " * 50_000_000, mtime=0)
    async with open_house(limits=SMALL) as house, connect(house.port) as client:
        answer = await client.ask(post(bomb, content_encoding="gzip"))
    assert (answer.status, answer.code) == (413, "body_too_large")


async def test_a_body_above_the_limit_is_refused_before_and_while_it_is_read() -> None:
    """D05."""
    async with open_house(limits=SMALL) as house:
        async with connect(house.port) as client:
            client.send(post(content_length="100001")[: -len(CHAT)])
            assert (await client.answer()).status == 413
        async with connect(house.port) as client:
            head = post(b"", content_length="", transfer_encoding="chunked")
            client.send(head)
            await asyncio.sleep(0.02)
            client.send(chunked(*[b" " * 10_000] * 11))
            answer = await client.answer()
            assert (answer.status, answer.code) == (413, "body_too_large")
        async with connect(house.port) as client:
            client.send(head + b"186a1\r\n" + b" " * 100_001 + b"\r\n0\r\n\r\n")
            assert (await client.answer()).status == 413
    assert not house.chain.exchanges
    assert house.edge._bodies.held == 0


async def test_a_chunked_body_is_read() -> None:
    """D05."""
    async with open_house() as house, connect(house.port) as client:
        head = post(b"", content_length="", transfer_encoding="chunked")
        client.send(head)
        for part in (CHAT[:5], CHAT[5:6], CHAT[6:]):
            client.send(b"%x;ext=1\r\n%b\r\n" % (len(part), part))
            await asyncio.sleep(0.01)
        client.send(b"0\r\ntrailer: ignored\r\n\r\n")
        assert (await client.answer()).status == 200
    assert house.chain.exchanges[0].request.body == CHAT


async def test_a_flood_of_tiny_chunks_is_refused() -> None:
    """D05."""
    async with open_house() as house, connect(house.port) as client:
        client.send(post(b"", content_length="", transfer_encoding="chunked"))
        await asyncio.sleep(0.02)
        client.send(b"1\r\n \r\n" * 1_000_000)
        answer = await client.answer()
    assert (answer.status, answer.code) == (400, "bad_http")
    assert not house.chain.exchanges


async def test_a_large_body_counts_twice_once_its_texts_are_held_too() -> None:
    """Bodies that fit one by one would otherwise take some times the limit together."""
    size = 2 * LARGE
    body = json.dumps({"model": "small", "messages": [{"role": "user", "content": "x" * size}]})
    for limit, status in ((size + size // 2, 503), (3 * size, 200)):
        limits = Limits(bodies_in_flight=limit)
        async with open_house(limits=limits) as house, connect(house.port) as client:
            assert (await client.ask(post(body.encode()))).status == status


async def test_all_bodies_together_have_a_limit() -> None:
    """D05."""
    go_on = asyncio.Event()

    async def slow(exchange: Exchange) -> Reply:
        await go_on.wait()
        return WHOLE

    limits = Limits(bodies_in_flight=1500)
    body = CHAT + b" " * 900
    async with (
        open_house(slow, limits=limits) as house,
        connect(house.port) as first,
        connect(house.port) as second,
    ):
        first.send(post(body))
        await house.until_asked()
        refused = await second.ask(post(body))
        assert (refused.status, refused.code) == (503, "overloaded")
        assert refused.headers["retry-after"] == "1"
        second.send(post())
        await house.until_asked(2)
        go_on.set()
        assert (await first.answer()).status == (await second.answer()).status == 200
        assert (await first.ask(post(body))).status == 200
    assert house.edge._bodies.held == 0


async def test_a_large_body_is_parsed_beside_the_loop() -> None:
    body = json.dumps({**json.loads(CHAT), "user": "x" * LARGE}).encode()
    async with open_house() as house, connect(house.port) as client:
        assert (await client.ask(post(body))).status == 200
        bad = await client.ask(post(body[:-1]))
        assert (bad.status, bad.code) == (400, "invalid_json")
    assert house.chain.exchanges[0].request.body == body


def text(value: str) -> bytes:
    return b'{"model":"small","messages":[{"role":"user","content":' + value.encode() + b"}]}"


BAD_JSON = {
    "empty": b"",
    "not JSON": b"{",
    "a list": b"[]",
    "NaN": text("NaN"),
    "Infinity": text("Infinity"),
    "too large a number": text("1e999"),
    "a BOM": b"\xef\xbb\xbf" + CHAT,
    "a lone surrogate": text('"\\ud800"'),
    "invalid UTF-8": CHAT.replace(b"hi", b"\xff\xfe"),
    "UTF-16": CHAT.decode().encode("utf-16"),
    "a duplicate key": CHAT.replace(b'"model":"small"', b'"model":"small","model":"big"'),
    "a nested duplicate key": text('{"a":1,"a":2}'),
    "65 levels": text("[" * 65 + "]" * 65),
    "100,000 levels": text("[" * 100_000 + "]" * 100_000),
    "5,000 digits": text("1" * 5000),
    "100,001 keys": text("{" + ",".join(f'"k{n}":1' for n in range(100_001)) + "}"),
}


@pytest.mark.parametrize("name", BAD_JSON)
async def test_json_that_readers_could_disagree_about_is_refused(name: str) -> None:
    """D06, D07."""
    async with open_house() as house, connect(house.port) as client:
        answer = await client.ask(post(BAD_JSON[name]))
        assert (answer.status, answer.code) == (400, "invalid_json")
        assert (await client.ask(post())).status == 200
    assert len(house.chain.exchanges) == 1


async def test_too_many_messages_are_refused() -> None:
    """D06."""
    body = json.dumps(
        {"model": "small", "messages": [{"role": "user", "content": "x"}] * 10_001}
    ).encode()
    async with open_house() as house, connect(house.port) as client:
        answer = await client.ask(post(body))
    assert (answer.status, answer.json["error"]["param"]) == (400, "messages")


async def test_line_breaks_in_values_reach_no_header() -> None:
    """D03."""
    evil = "small\r\nset-cookie: a=b\r\n\r\n"
    body = json.dumps(
        {"model": evil, "user": evil, "metadata": {"a": evil}, "messages": [{"role": "user"}]}
    ).encode()
    async with open_house() as house, connect(house.port) as client:
        answer = await client.ask(post(body, x_request_id="a", x_turnout_policy="b"))
    assert answer.status == 200
    assert "set-cookie" not in answer.headers
    assert answer.headers["x-request-id"] == "req-0001"


@pytest.mark.parametrize(
    ("path", "headers", "param"),
    [
        ("/v1/chat/completions", {"x_turnout_deadline_ms": "0"}, "x-turnout-deadline-ms"),
        ("/v1/chat/completions", {"x_turnout_max_cost": "-1"}, "x-turnout-max-cost"),
        ("/v1/chat/completions", {"x_turnout_max_cost": "1e3"}, "x-turnout-max-cost"),
        ("/v1/chat/completions", {"x_turnout_max_cost": "0." + "1" * 21}, "x-turnout-max-cost"),
        ("/v1/chat/completions", {"x_turnout_deadline_ms": "-5"}, "x-turnout-deadline-ms"),
        ("/v1/chat/completions", {"x_turnout_deadline_ms": "1e3"}, "x-turnout-deadline-ms"),
        ("/v1/chat/completions", {"x_turnout_deadline_ms": "9" * 19}, "x-turnout-deadline-ms"),
        ("/v1/chat/completions", {"x_turnout_drop_params": "yes"}, "x-turnout-drop-params"),
        ("/v1/messages", {"anthropic_version": "latest"}, "anthropic-version"),
        ("/v1/messages", {"anthropic_beta": "a b"}, "anthropic-beta"),
        ("/v1/messages", {"anthropic_beta": ",".join(["a"] * 33)}, "anthropic-beta"),
    ],
)
async def test_a_header_that_makes_no_sense_is_named(
    path: str, headers: dict[str, str], param: str
) -> None:
    async with open_house() as house, connect(house.port) as client:
        answer = await client.ask(post(MESSAGE, path, **headers))
    assert answer.status == 400
    assert param in answer.json["error"]["message"]
    assert not house.chain.exchanges


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("x-turnout-max-cost", ("1", "2")),
        ("x-turnout-deadline-ms", ("5", "5")),
        ("x-turnout-drop-params", ("false", "true")),
    ],
)
async def test_a_header_that_comes_twice_is_refused(name: str, values: tuple[str, str]) -> None:
    lines = "".join(f"{name}: {value}\r\n" for value in values).encode()
    twice = post().replace(b"\r\n\r\n", b"\r\n" + lines + b"\r\n", 1)
    async with open_house() as house, connect(house.port) as client:
        answer = await client.ask(twice)
    assert (answer.status, answer.json["error"]["param"]) == (400, name)
    assert answer.json["error"]["message"] == f"'{name}' must be sent once."
    assert not house.chain.exchanges


async def test_headers_at_rest_change_nothing() -> None:
    async with open_house() as house, connect(house.port) as client:
        await client.ask(
            post(
                x_turnout_drop_params="false",
                x_turnout_deadline_ms="999999999999",
                x_stainless_retry_count="many",
                anthropic_beta=" , ",
                x_turnout_max_cost="0.05",
            )
        )
    (exchange,) = house.chain.exchanges
    assert not exchange.drop_params
    assert exchange.deadline == house.clock.now + house.service.limits.request
    assert exchange.request.betas == ()
    assert exchange.max_cost == 50_000
    assert house.outcomes[0].client_retry == 0


@pytest.mark.parametrize(
    ("told", "micro_dollars"),
    [("0", 0), (str(0.1 + 0.2), 300_000), (str(1 / 3), 333_333), ("0.0000009", 0)],
)
async def test_a_cost_ceiling_may_be_what_a_program_computed(told: str, micro_dollars: int) -> None:
    async with open_house() as house, connect(house.port) as client:
        await client.ask(post(x_turnout_max_cost=told))
    (exchange,) = house.chain.exchanges
    assert exchange.max_cost == micro_dollars


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_noted() -> None:
    async with open_house() as house:
        async with connect(house.port) as client:
            client.send(post(content_length="5000"))
            await asyncio.sleep(0.02)
            client.reset()
        outcome = await house.until_reported()
    assert (outcome.status, outcome.code) == (499, "client_gone")
    assert house.edge._bodies.held == 0
