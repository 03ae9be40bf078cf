"""The process's own embedder as a provider: `/v1/embeddings` without a key."""

import asyncio
from base64 import b64encode
from collections.abc import Mapping, Sequence
from struct import unpack
from typing import Any, Final

from gateway.core import wire
from gateway.core.capability import NOTHING
from gateway.core.embedding import Embedded, Embedder, EmbedderUnavailable
from gateway.core.errors import BadRequest, CapabilityMissing, UpstreamBroken
from gateway.core.ports import Call, Clock, Provider, Runtime
from gateway.core.reply import Answered, Reply, Usage, Whole
from gateway.providers.base import ProviderConfig
from gateway.providers.transport.upstream_errors import timed_out

MOST: Final = 2048
"""Texts of one request, as OpenAI has it."""
TRUNCATED: Final = "truncated-input"
"""How an answer is marked in which a text was longer than what the model reads."""
_INLINE: Final = 4
_FORMATS: Final = (None, "float", "base64")


class EmbedderProviderConfig(ProviderConfig, frozen=True, tag="embedder", kw_only=True):
    """The `embedder:` of this file, for callers of /v1/embeddings."""

    def build(self, name: str, runtime: Runtime) -> Provider:
        """Return the provider; it answers once it is given the embedder."""
        return EmbedderProvider(name, runtime.clock)


class EmbedderProvider:
    """Answers embeddings requests with the embedder that the cache uses too."""

    stands_in_for = NOTHING

    def __init__(self, name: str, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        self.embedder: Embedder | None = None
        self._warm = False

    async def send(self, call: Call, /) -> Reply:
        """Embed the request's texts. Raises CallerError or UpstreamError."""
        request = call.request
        if request.endpoint != "embeddings":
            raise CapabilityMissing("This model only makes embeddings.", param="model")
        texts = _texts(request.fields["input"])
        form = request.fields.get("encoding_format")
        if form not in _FORMATS:
            raise _bad("encoding_format", "float or base64")
        embedder = self.embedder
        if embedder is None:
            raise _unavailable("there is no embedder")
        if request.fields.get("dimensions") not in (None, embedder.dimensions):
            raise _bad("dimensions", f"left out, or {embedder.dimensions}")
        rows = await self._embed(embedder, texts, call.deadline)
        model, base64 = call.target.model, form == "base64"
        if len(rows) > _INLINE:
            body = await asyncio.to_thread(_body, model.upstream_name, rows, base64=base64)
        else:
            body = _body(model.upstream_name, rows, base64=base64)
        degraded = (TRUNCATED,) if any(row.truncated for row in rows) else ()
        answered = Answered(provider=self._name, model=model.name, degraded=degraded)
        return Whole(body, "openai", Usage(input=_tokens(rows)), answered)

    async def warm(self) -> None:
        """Load the embedder, which the first request would else wait for. Raises UpstreamError."""
        try:
            if self.embedder is not None:
                await self.embedder.warm()
        except EmbedderUnavailable as error:
            raise _unavailable(str(error)) from error

    async def aclose(self) -> None:
        """Do nothing: the embedder closes with the process."""

    async def _embed(
        self, embedder: Embedder, texts: Sequence[str], deadline: float
    ) -> Sequence[Embedded]:
        try:
            async with asyncio.timeout(max(0.0, deadline - self._clock.monotonic())):
                if not self._warm:
                    await embedder.warm()
                    self._warm = True
                return await embedder.embed(texts)
        except TimeoutError as error:
            raise timed_out("upstream_timeout", "the embedder has too much to do") from error
        except EmbedderUnavailable as error:
            raise _unavailable(str(error)) from error


def lend(embedder: Embedder | None, providers: Mapping[str, Provider]) -> None:
    """Give the process's embedder to those providers that serve it."""
    for provider in providers.values():
        if isinstance(provider, EmbedderProvider):
            provider.embedder = embedder


def _texts(given: Any) -> list[str]:  # noqa: ANN401 - whatever the caller put there
    """Return the texts of `input`. Raises BadRequest."""
    texts = [given] if isinstance(given, str) else given
    if len(texts) > MOST:
        raise _bad("input", f"at most {MOST} texts")
    for place, text in enumerate(texts):
        if isinstance(text, int | list):
            raise _bad(f"input[{place}]", "text: this model does not take token numbers")
        if not isinstance(text, str) or not text:
            raise _bad(f"input[{place}]", "a text that is not empty")
    return list(texts)


def _body(model: str, rows: Sequence[Embedded], *, base64: bool) -> bytes:
    data = [
        {"object": "embedding", "index": index, "embedding": _figures(row.vector, base64=base64)}
        for index, row in enumerate(rows)
    ]
    tokens = _tokens(rows)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return wire.encode({"object": "list", "data": data, "model": model, "usage": usage})


def _figures(vector: bytes, *, base64: bool) -> str | tuple[float, ...]:
    if base64:
        return b64encode(vector).decode()
    figures: tuple[float, ...] = unpack(f"<{len(vector) // 4}f", vector)
    return figures


def _tokens(rows: Sequence[Embedded]) -> int:
    return sum(row.tokens for row in rows)


def _bad(param: str, expected: str) -> BadRequest:
    return BadRequest(f"'{param}' must be {expected}.", param=param)


def _unavailable(detail: str) -> UpstreamBroken:
    return UpstreamBroken(
        "The embedder is not available. Try again, or use another model.",
        code="embedder_unavailable",
        detail=detail,
    )
