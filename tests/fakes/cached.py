"""A `semantic_cache` stage in front of a relay with one scripted provider, in virtual time."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.audits import Audits
from gateway.core.cache import open_cache
from gateway.core.capacity import Capacity
from gateway.core.catalogue import Catalogue
from gateway.core.chat import Endpoint, parse_request
from gateway.core.embedding import Embedder, VectorIndex
from gateway.core.errors import GatewayError
from gateway.core.exchange import Caller, Exchange
from gateway.core.health import Health
from gateway.core.notes import Cached, Notes
from gateway.core.ports import Call, Tools
from gateway.core.reply import Reply, Stream, Whole
from gateway.core.stage import Stage, compose
from gateway.stages.relay import RelayPolicy
from gateway.stages.semantic_cache.lookup import Gates
from gateway.stages.semantic_cache.policy import SemanticCachePolicy
from gateway.state.memory import memory_state
from tests.fakes.clock import FakeClock, settle
from tests.fakes.limited import ALICE, MODELS
from tests.fakes.relay import ScriptedProvider, nowhere, read
from tests.fakes.runtime import make_runtime

ASK: Mapping[str, Any] = {
    "model": "fast",
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
}
ANSWER: Mapping[str, Any] = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "fast",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Paris."},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107},
}


def said(text: str, **message: Any) -> list[dict[str, Any]]:
    """Return messages that end with this one of the user."""
    return [{"role": "user", "content": text, **message}]


class GatedProvider(ScriptedProvider):
    """Answers when its gate is open; `fail` holds the errors of the next calls."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.gate = asyncio.Event()
        self.gate.set()
        self.fail: list[BaseException | None] = []
        self.cancelled = 0

    async def send(self, call: Call, /) -> Reply:
        gate = self.gate
        try:
            reply = await super().send(call)
            await gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        error = self.fail.pop(0) if self.fail else None
        if error is not None:
            raise error
        return reply


class CachedHouse:
    """One policy with a cache. `calls` counts what reached the provider."""

    def __init__(
        self,
        *,
        embedder: Embedder | None = None,
        index: VectorIndex | None = None,
        gates: Gates | None = None,
        audited: bool = False,
        **policy: Any,
    ) -> None:
        self.gates = gates
        self.clock = FakeClock()
        self.provider = GatedProvider(self.clock)
        self.provider.body = json.dumps(ANSWER).encode()
        self.runtime = make_runtime(self.clock)
        self.state = memory_state(self.clock)
        self.audits = Audits(self.state.audits, self.state.limiter.now)
        kept = self.audits if audited else None
        self.cache = open_cache(self.state.answers, b"pepper", embedder, index, kept)
        self.tools = Tools(
            runtime=self.runtime,
            providers={"acme": self.provider},
            catalogue=Catalogue(models=MODELS, aliases={"default": "fast"}),
            state=self.state,
            capacity=Capacity(self.clock, self.runtime.random),
            health=Health(self.runtime.random),
            cache=self.cache,
        )
        self.notes = Notes()
        self.renewals: list[Exchange] = []
        self.use(**policy)

    def use(self, *behind: Stage, **policy: Any) -> None:
        """Take another policy into use, as a reload does."""
        policy.setdefault("jitter", 0)
        first = SemanticCachePolicy(**policy).behind(self.gates, self.tools)
        rest: Sequence[Stage] = behind or (RelayPolicy().build(self.tools),)
        self.chain = compose([first, *rest], nowhere)

    @property
    def calls(self) -> int:
        return len(self.provider.calls)

    def exchange(
        self,
        fields: Mapping[str, Any] = ASK,
        endpoint: Endpoint = "chat",
        *,
        caller: Caller = ALICE,
        exchange: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Exchange:
        request = parse_request(endpoint, json.dumps({**fields, **more}).encode())
        plain = Exchange(
            id=self.runtime.new_id(),
            caller=caller,
            request=request,
            deadline=self.clock.now + 600.0,
            notes=Notes(),
            headers=headers or {},
            again=self._again,
        )
        return replace(plain, **(exchange or {}))

    async def _again(self, exchange: Exchange) -> None:
        self.renewals.append(exchange)
        await self.chain(replace(exchange, notes=Notes(), id=self.runtime.new_id()))

    async def ask(self, fields: Mapping[str, Any] = ASK, **more: Any) -> Reply:
        exchange = self.exchange(fields, **more)
        self.notes = exchange.notes
        return await self.chain(exchange)

    async def whole(self, fields: Mapping[str, Any] = ASK, **more: Any) -> dict[str, Any]:
        """Ask, and return the answer's fields."""
        reply = await self.ask(fields, **more)
        assert isinstance(reply, Whole)
        answer: dict[str, Any] = json.loads(reply.body)
        return answer

    async def stream(self, fields: Mapping[str, Any] = ASK, **more: Any) -> bytes:
        """Ask for a stream, read it to its end and let it be kept."""
        reply = await self.ask(fields, stream=True, **more)
        assert isinstance(reply, Stream)
        told = await read(reply)
        await reply.blocks.aclose()
        await settle()
        return told

    def asking(self, number: int, **more: Any) -> "list[asyncio.Task[Reply]]":
        """Ask so often at once, from now on."""
        return [asyncio.create_task(self.ask(**more)) for _ in range(number)]

    async def failure(self, **more: Any) -> GatewayError:
        with pytest.raises(GatewayError) as caught:
            await self.ask(**more)
        return caught.value

    @property
    def cached(self) -> Cached:
        """What the cache made of the last request."""
        note = self.notes.last(Cached)
        assert note is not None
        return note

    @property
    def result(self) -> tuple[str, str]:
        return self.cached.result, self.cached.reason
