"""Anthropic and whatever speaks its messages API."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from gateway.core import wire
from gateway.core.chat import ChatRequest
from gateway.core.errors import BadRequest, CapabilityMissing, UpstreamAnswered
from gateway.core.meter import AnthropicMeter
from gateway.core.ports import Call, Provider, Runtime
from gateway.core.reply import Reply, Usage, Whole
from gateway.core.secret import Secret
from gateway.core.usage import anthropic_usage
from gateway.providers.anthropic_wire.cache_marks import marked
from gateway.providers.anthropic_wire.chat_reply import message_to_chat
from gateway.providers.anthropic_wire.chat_request import chat_to_messages
from gateway.providers.anthropic_wire.chat_stream import MessageEventsToChat
from gateway.providers.base import A_BASE_URL, BASE_URL, ProviderConfig
from gateway.providers.streaming import read_answer
from gateway.providers.transport.client import (
    NO_HEADERS,
    Response,
    Transport,
    TransportConfig,
    misfits,
)
from gateway.providers.transport.upstream_errors import broken
from gateway.providers.upstream import Upstream

SAMPLING_VERSION: Final = "2023-06-01"
"""The last version of the API that takes temperature, top_p and top_k."""
_SAMPLING: Final = ("temperature", "top_p", "top_k")
_VERSION: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_BETA: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}")


class AnthropicConfig(ProviderConfig, frozen=True, tag="anthropic"):
    """A provider that speaks Anthropic's API."""

    keeps_marked_prompts: ClassVar[bool] = True

    base_url: Annotated[
        str,
        Meta(pattern=BASE_URL, title=A_BASE_URL, description="Up to and including /v1."),
    ] = "https://api.anthropic.com/v1"
    api_key: Annotated[
        Secret | None, Meta(description="env:NAME; leave out if none is needed.")
    ] = None
    auth: Annotated[Literal["x-api-key", "bearer"], Meta(description="How the key is sent.")] = (
        "x-api-key"
    )
    version: Annotated[
        str,
        Meta(
            pattern=r"^\d{4}-\d{2}-\d{2}$",
            title="a date such as 2023-06-01",
            description="anthropic-version for callers that name none themselves.",
        ),
    ] = SAMPLING_VERSION
    transport: Annotated[
        TransportConfig, Meta(description="Its connections: waits in seconds, and how many.")
    ] = TransportConfig()

    def check(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield what is wrong with the address and the warm-up."""
        yield from super().check()
        yield from misfits(self.base_url, NO_HEADERS)

    def unusable(self) -> str:
        """Return which variable to set or file to mend when the key is configured but missing."""
        return self.api_key.cure if self.api_key is not None else ""

    def sent_headers(self) -> Mapping[str, str]:
        """Return what goes with every request, the key too."""
        headers = {"content-type": "application/json"}
        if self.api_key is not None and self.api_key.present:
            key = self.api_key.reveal()
            bearer = self.auth == "bearer"
            headers["authorization" if bearer else "x-api-key"] = f"Bearer {key}" if bearer else key
        return headers

    def build(self, name: str, runtime: Runtime) -> Provider:
        """Return the provider with its own pool of connections."""
        transport = Transport(self.base_url, self.sent_headers(), runtime, self.transport)
        return Anthropic(name, transport, runtime, self)


class Anthropic:
    """Passes Anthropic requests and answers through as bytes, and translates OpenAI's chat."""

    stands_in_for = frozenset({"response_format"})
    """By a forced tool or an instruction."""

    def __init__(
        self, name: str, transport: Transport, runtime: Runtime, config: AnthropicConfig
    ) -> None:
        self.transport = transport
        self._upstream = Upstream(
            name, transport, runtime, dialect="anthropic", first_byte=config.transport.first_byte
        )
        self._version = config.version
        self._warmup = config.warmup

    async def send(self, call: Call, /) -> Reply:
        """Ask the upstream. Raises UpstreamError, or CallerError for what cannot be said to it."""
        try:
            match call.request.endpoint:
                case "chat":
                    return await self._chat(call)
                case "messages":
                    return await self._messages(call)
                case "count_tokens":
                    return await self._count_tokens(call)
                case _:
                    raise CapabilityMissing("This model serves chat only.", param="model")
        except UpstreamAnswered as error:
            self._upstream.mask(error)
            raise

    async def _messages(self, call: Call) -> Reply:
        request, dropped = _prepare(call)
        response = await self._ask(_marked(request, call), "/messages", call)
        answered = self._upstream.answered(call, response, dropped)
        if request.stream:
            return await self._upstream.stream(response, AnthropicMeter(), call, answered)
        body = await self._upstream.read(response)
        return Whole(body, dialect="anthropic", usage=check_message(body), answered=answered)

    async def _count_tokens(self, call: Call) -> Reply:
        request, dropped = _prepare(call)
        response = await self._ask(request, "/messages/count_tokens", call)
        body = await self._upstream.read(response)
        if read_answer(body, _read_whole).input_tokens is None:
            raise broken("bad_upstream", "the answer has no input_tokens")
        return Whole(
            body, dialect="anthropic", answered=self._upstream.answered(call, response, dropped)
        )

    async def _chat(self, call: Call) -> Reply:
        translated = chat_to_messages(call)
        created = int(self._upstream.runtime.clock.wall())
        response = await self._ask(_marked(translated.request, call), "/messages", call)
        answered = self._upstream.answered(call, response, translated.dropped)
        model, form = call.request.model, translated.form
        if call.request.stream:
            usage = call.request.wants_usage
            codec = MessageEventsToChat(
                include_usage=usage, model=model, created=created, form=form
            )
            return await self._upstream.stream(response, codec, call, answered)
        message = await self._upstream.read(response)
        body, used = message_to_chat(message, model=model, created=created, form=form)
        return Whole(body, dialect="openai", usage=used, answered=answered)

    async def _ask(self, request: ChatRequest, path: str, call: Call) -> Response:
        headers, seconds = self._headers(request), call.target.first_token
        return await self._upstream.ask(
            request, path, call.deadline, first_token=seconds, headers=headers
        )

    def _headers(self, request: ChatRequest) -> Mapping[str, str]:
        version = request.version
        if not _VERSION.fullmatch(version):
            sampled = any(request.fields.get(name) is not None for name in _SAMPLING)
            version = SAMPLING_VERSION if sampled else self._version
        if not request.betas:
            return {"anthropic-version": version}
        if not all(_BETA.fullmatch(beta) for beta in request.betas):
            raise BadRequest(
                "The header anthropic-beta must be a list of names.", param="anthropic-beta"
            )
        return {"anthropic-version": version, "anthropic-beta": ",".join(request.betas)}

    async def warm(self) -> None:
        """Send the warm-up prompt until its first token, then open and keep connections."""
        version = {"anthropic-version": self._version}
        await self._upstream.warm(
            self._warmup, "messages", "/messages", AnthropicMeter(), headers=version
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._upstream.aclose()


class _Whole(Struct, gc=False):
    type: Any = None
    content: list[msgspec.Raw] | None = None
    usage: Any = None
    error: Any = None
    input_tokens: int | None = None


_read_whole: Final = wire.decoder(_Whole).decode


def check_message(body: bytes) -> Usage | None:
    """Return the usage of a whole message. Raises UpstreamError for what is no message."""
    message = read_answer(body, _read_whole)
    if message.content is None:
        raise broken("bad_upstream", "the answer has no content")
    return anthropic_usage(message.usage) if isinstance(message.usage, dict) else None


def _prepare(call: Call) -> tuple[ChatRequest, tuple[str, ...]]:
    """Return the request as the upstream gets it, its very bytes if nothing need change."""
    request, model = call.request, call.target.model
    dropped = _refused_sampling(call)
    changes: dict[str, Any] = dict.fromkeys(dropped)
    if request.model != model.upstream_name:
        changes["model"] = model.upstream_name
    return (request.with_fields(**changes) if changes else request), dropped


def _marked(request: ChatRequest, call: Call) -> ChatRequest:
    """Return the request with its beginning marked, where that is to be kept by the provider."""
    if call.prompt_cache is None:
        return request
    least = call.target.model.prompt_cache_min
    return replace(request, body=marked(request.body, request.fields, call.prompt_cache, least))


def _refused_sampling(call: Call) -> tuple[str, ...]:
    """Name the sampling parameters to leave out: never when the caller chose the model."""
    kind = call.target.model.sampling
    if kind == "all" or not (call.target.chosen or call.drop_params):
        return ()
    given = tuple(name for name in _SAMPLING if call.request.fields.get(name) is not None)
    if kind == "none":
        return given
    return ("top_p",) if {"temperature", "top_p"} <= set(given) else ()
