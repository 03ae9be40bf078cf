"""An upstream that keeps its own meter, and gateways with limits in front of it."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.fakes.answers import sse
from tests.fakes.upstream import (
    Answer,
    Received,
    ScriptedUpstream,
    json_reply,
    open_upstream,
    sse_reply,
)

PRICE = {"input": 0, "output": 10}
"""Ten micro-dollars an output token, so that a request's cost is as exact as its max_tokens."""
HELLO: Mapping[str, Any] = {
    "model": "m",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Hello!"}],
}


@dataclass
class Meter:
    """Answers every request with as many tokens as it allows, and adds them up."""

    words: Sequence[str] = ()
    """What whole answers say, the last one from then on; left empty `Hello.`."""
    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def answer(self, request: Received) -> Answer:
        asked = request.json
        tokens_out = asked.get("max_tokens", 7)
        self.calls += 1
        self.tokens_in += 9
        self.tokens_out += tokens_out
        usage = {
            "prompt_tokens": 9,
            "completion_tokens": tokens_out,
            "total_tokens": 9 + tokens_out,
        }
        if asked.get("stream"):
            return sse_reply([*sse(*chunks(usage)), b"data: [DONE]\n\n"])
        said = self.words[min(self.calls, len(self.words)) - 1] if self.words else "Hello."
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": said},
            "finish_reason": "stop",
        }
        return json_reply(
            {"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage}
        )


def chunks(
    usage: Mapping[str, int] | None, text: Sequence[str] = ("Hel", "lo.")
) -> list[dict[str, Any]]:
    common = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunks: list[dict[str, Any]] = [
        {**common, "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
        for piece in text
    ]
    chunks.append({**common, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if usage is not None:
        chunks.append({**common, "choices": [], "usage": dict(usage)})
    return chunks


@asynccontextmanager
async def open_metered() -> AsyncIterator[tuple[Meter, ScriptedUpstream]]:
    meter = Meter()
    async with open_upstream(meter.answer) as upstream:
        yield meter, upstream


def limited_config(
    upstream: ScriptedUpstream, *limits: Mapping[str, Any], **policy: Any
) -> dict[str, Any]:
    """Return what `write_config` needs for the model `m` behind these limits."""
    return {
        "providers": {"acme": {"kind": "openai", "base_url": upstream.url}},
        "models": {"m": {"provider": "acme", "price": PRICE}},
        "pipeline": [{"stage": "rate_limit", "limits": list(limits), **policy}],
    }


@dataclass(frozen=True)
class Got:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["error"]["code"]) if self.status != 200 else ""


@dataclass
class Crowd:
    """Callers that ask over HTTP, each on a connection of its own."""

    urls: Sequence[str]
    headers: Mapping[str, str] = field(default_factory=dict)
    got: list[Got] = field(default_factory=list)

    async def ask(self, number: int = 1, **fields: Any) -> list[Got]:
        """Ask so often at once, the urls in turn, and return the answers."""
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with aiohttp.ClientSession(connector=connector, headers=self.headers) as session:

            async def one(index: int) -> Got:
                url = f"{self.urls[index % len(self.urls)]}/chat/completions"
                async with session.post(url, json={**HELLO, **fields}) as response:
                    headers = {k.lower(): v for k, v in response.headers.items()}
                    return Got(response.status, headers, await response.read())

            ended = await asyncio.gather(*map(one, range(number)), return_exceptions=True)
        answers = []
        for each in ended:
            if isinstance(each, BaseException):
                raise each
            answers.append(each)
        self.got += answers
        return answers

    @property
    def codes(self) -> dict[str, int]:
        """How often each code was answered; an empty code is success."""
        return {code: sum(g.code == code for g in self.got) for code in {g.code for g in self.got}}


SUMS = "SELECT count(*), total(input), total(output), total(micro_dollars) FROM "


def ledger(data: Path) -> dict[str, Any]:
    """Return what the ledger's tables add up to."""
    with closing(sqlite3.connect(data / "ledger.db")) as db:
        return {table: db.execute(SUMS + table).fetchone() for table in ("requests", "attempts")}


def counted(data: Path) -> list[tuple[int, int]]:
    """Return what every counter of the limits has spent and holds."""
    with closing(sqlite3.connect(data / "limits.db")) as db:
        return list(db.execute("SELECT spent, held FROM counters ORDER BY key"))
