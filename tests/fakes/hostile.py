"""Malformed, hostile and oversized requests, and how each is to be refused."""

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from tests.fakes.raw_client import post
from tests.fakes.smuggling import SMUGGLING

MARK: Final = "Zq9Canary"
"""In every hostile body and header; never in an answer."""
LARGEST: Final = 32 << 20
SMUGGLED: Final = (
    *("CL.TE", "TE.CL", "TE.TE", "TE xchunked", "CL twice different", "CL huge"),
    *("chunk size huge", "chunk size plus", "bare LF", "folded header"),
)


@dataclass(frozen=True)
class Hostile:
    """`body` is sent as JSON unless `headers` say otherwise; `raw` is sent as it is."""

    body: Callable[[], bytes] = bytes
    statuses: Sequence[int] = (400,)
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes = b""
    heavy: bool = False
    """Whether it is megabytes on the wire."""

    def request(self, path: str, key: str) -> bytes:
        """Return the very bytes to send."""
        if self.raw:
            host = b"host: localhost\r\n"
            keyed = self.raw.replace(host, b"%bauthorization: Bearer %b\r\n" % (host, key.encode()))
            return keyed.replace(b"/v1/chat/completions", path.encode(), 1)
        return post(self.body(), path, **{"authorization": f"Bearer {key}", **self.headers})


def _content(value: bytes) -> bytes:
    head = b'{"model":"the-model","user":"%b","max_tokens":9,"messages":' % MARK.encode()
    return head + b'[{"role":"user","content":' + value + b"}]}"


def _listed(item: bytes, count: int) -> bytes:
    return _content(b"[" + b",".join([item] * count) + b"]")


def _fields(**fields: object) -> bytes:
    known = {"model": "the-model", "user": MARK, "max_tokens": 9, "messages": [{"role": "user"}]}
    return json.dumps({**known, **fields}).encode()


def _keys(count: int) -> bytes:
    return _content(b"{" + b",".join(b'"k%d":1' % n for n in range(count)) + b"}")


@cache
def _packed(window: int) -> bytes:
    """100 MiB of blanks in 100 KB."""
    packer = zlib.compressobj(wbits=window)
    return packer.compress(b" " * (100 << 20)) + packer.flush()


GZIP: Final = {"content_encoding": "gzip"}
CHUNKED: Final = {"content_length": "", "transfer_encoding": "chunked"}
HOSTILE: Final[Mapping[str, Hostile]] = {
    "100,001 keys": Hostile(lambda: _keys(100_001)),
    "a million keys": Hostile(lambda: _keys(1_000_001)),
    "900,000 objects": Hostile(lambda: _listed(b'{"a":1}', 900_000)),
    "a million values": Hostile(lambda: _listed(b"1", 1_000_010)),
    "100,000 levels": Hostile(lambda: _content(b"[" * 100_000 + b"]" * 100_000)),
    "16 million levels": Hostile(lambda: _content(b"[" * 16_000_000), heavy=True),
    "5,000 digits": Hostile(lambda: _content(b"1" * 5000)),
    "32 MB of digits": Hostile(lambda: _content(b"1" * 32_000_000), heavy=True),
    "32 MB that break off": Hostile(lambda: _content(b'"' + b"x" * 32_000_000), heavy=True),
    "32 MB of no UTF-8": Hostile(lambda: _content(b'"%b"' % (b"\xff" * 32_000_000)), heavy=True),
    "10,001 messages": Hostile(lambda: _fields(messages=[{"role": "user"}] * 10_001)),
    "a key twice": Hostile(lambda: _content(b'{"a":1,"a":2}')),
    "NaN": Hostile(lambda: _content(b"NaN")),
    "no JSON": Hostile(f"Hello {MARK}!".encode),
    "nothing": Hostile(),
    "a list": Hostile(lambda: b"[1]"),
    "messages of a wrong type": Hostile(lambda: _fields(messages=MARK)),
    "a message of a wrong type": Hostile(lambda: _fields(messages=[MARK])),
    "a model of a wrong type": Hostile(lambda: _fields(model=[MARK])),
    "stream of a wrong type": Hostile(lambda: _fields(stream=MARK)),
    "a gzip bomb": Hostile(lambda: _packed(31), (413,), GZIP),
    "a gzip bomb that lies": Hostile(lambda: _packed(31)[:-4] + b"\0\0\x10\0", (413,), GZIP),
    "a deflate bomb": Hostile(lambda: _packed(15), (413,), {"content_encoding": "deflate"}),
    "a cut gzip": Hostile(lambda: _packed(31)[:5000], (400,), GZIP),
    "no gzip": Hostile(_fields, (400,), GZIP),
    "brotli": Hostile(_fields, (415,), {"content_encoding": "br"}),
    "a form": Hostile(_fields, (415,), {"content_type": "text/plain"}),
    "a length over the limit": Hostile(lambda: b"{", (413,), {"content_length": str(LARGEST + 1)}),
    "a chunk over the limit": Hostile(
        lambda: b"%x\r\n%b" % (LARGEST + 1, b" " * (LARGEST + 1)), (413,), CHUNKED, heavy=True
    ),
    "a million tiny chunks": Hostile(
        lambda: b"1\r\n \r\n" * 1_000_000, (400,), CHUNKED, heavy=True
    ),
    "130 headers": Hostile(_fields, (431,), {f"x_{n}": MARK for n in range(130)}),
    "a header of 9 KB": Hostile(_fields, (431,), {"x_a": MARK * 1000}),
    "a flood of headers": Hostile(_fields, (431,), {f"x_{n}": "v" * 8000 for n in range(100)}),
    "two keys": Hostile(_fields, (400,), {"x_api_key": MARK}),
    "a wrong key": Hostile(_fields, (401, 429), {"authorization": f"Bearer {MARK}"}),
    **{name: Hostile(statuses=(400, 413), raw=SMUGGLING[name]) for name in SMUGGLED},
}
