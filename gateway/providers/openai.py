"""OpenAI and whatever speaks its API: Azure v1, vLLM, Ollama, llama.cpp, OpenRouter, ..."""

from collections.abc import Awaitable, Iterator, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from gateway.core import wire
from gateway.core.capability import NOTHING
from gateway.core.chat import ChatRequest, Endpoint
from gateway.core.errors import UpstreamAnswered
from gateway.core.estimate import input_tokens
from gateway.core.meter import OpenAIMeter
from gateway.core.ports import Call, Provider, Runtime
from gateway.core.reply import Answered, Reply, Usage, Whole
from gateway.core.secret import Secret
from gateway.core.usage import openai_usage
from gateway.providers.anthropic_wire.messages_reply import chat_to_message
from gateway.providers.anthropic_wire.messages_request import messages_to_chat
from gateway.providers.anthropic_wire.messages_stream import ChatEventsToMessage
from gateway.providers.base import A_BASE_URL, BASE_URL, ProviderConfig, Warmup
from gateway.providers.streaming import read_answer
from gateway.providers.transport.client import Response, Transport, TransportConfig, misfits
from gateway.providers.transport.upstream_errors import broken
from gateway.providers.upstream import Upstream

_PATHS: Final[Mapping[Endpoint, str]] = {
    "chat": "/chat/completions",
    "completions": "/completions",
    "embeddings": "/embeddings",
}


class OpenAIConfig(ProviderConfig, frozen=True, tag="openai", kw_only=True):
    """A provider that speaks OpenAI's API."""

    base_url: Annotated[
        str,
        Meta(pattern=BASE_URL, title=A_BASE_URL, description="Up to and including /v1."),
    ] = "https://api.openai.com/v1"
    api_key: Annotated[
        Secret | None, Meta(description="env:NAME; leave out if none is needed.")
    ] = None
    auth: Annotated[
        Literal["bearer", "api-key"],
        Meta(description="How the key is sent; Azure takes the header api-key."),
    ] = "bearer"
    headers: Annotated[
        Mapping[str, str], Meta(description="Headers to add to every request, none of them secret.")
    ] = {}
    transport: Annotated[
        TransportConfig, Meta(description="Its connections: waits in seconds, and how many.")
    ] = TransportConfig()

    def check(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield what is wrong with the address, the headers and the warm-up."""
        yield from super().check()
        yield from misfits(self.base_url, self.headers)

    def unusable(self) -> str:
        """Return which variable to set or file to mend when the key is configured but missing."""
        return self.api_key.cure if self.api_key is not None else ""

    def sent_headers(self) -> Mapping[str, str]:
        """Return what goes with every request, the key too."""
        headers = dict(self.headers)
        if self.api_key is not None and self.api_key.present:
            key = self.api_key.reveal()
            bearer = self.auth == "bearer"
            headers["authorization" if bearer else "api-key"] = f"Bearer {key}" if bearer else key
        return headers

    def build(self, name: str, runtime: Runtime) -> Provider:
        """Return the provider with its own pool of connections."""
        transport = Transport(self.base_url, self.sent_headers(), runtime, self.transport)
        return OpenAIProvider(name, transport, runtime, self.transport.first_byte, self.warmup)


class _Whole(Struct, gc=False):
    choices: list[msgspec.Raw] | None = None
    data: list[msgspec.Raw] | None = None
    usage: Any = None
    error: Any = None


_read_whole: Final = wire.decoder(_Whole).decode


class OpenAIProvider:
    """Passes OpenAI requests and answers through as bytes, and translates Anthropic's."""

    stands_in_for = NOTHING

    def __init__(
        self,
        name: str,
        transport: Transport,
        runtime: Runtime,
        first_byte: float,
        warmup: Warmup | None = None,
    ) -> None:
        """`first_byte` is how many seconds a stream may take to begin."""
        self.transport = transport
        self._upstream = Upstream(name, transport, runtime, dialect="openai", first_byte=first_byte)
        self._warmup = warmup

    async def send(self, call: Call, /) -> Reply:
        """Ask the upstream. Raises UpstreamError, or CallerError for what cannot be said to it."""
        try:
            match call.request.endpoint:
                case "messages":
                    return await self._messages(call)
                case "count_tokens":
                    return _estimate(call, self._upstream.name)
                case _:
                    return await self._pass(call)
        except UpstreamAnswered as error:
            self._upstream.mask(error)
            raise

    async def _pass(self, call: Call) -> Reply:
        request, dropped = _prepare(call)
        response = await self._ask(request, call)
        answered = self._upstream.answered(call, response, dropped)
        if request.stream:
            meter = OpenAIMeter(hide_usage=not call.request.wants_usage)
            return await self._upstream.stream(response, meter, call, answered)
        body = await self._upstream.read(response)
        usage = check_answer(body, request.endpoint)
        return Whole(body, "openai", usage, answered)

    async def _messages(self, call: Call) -> Reply:
        translated = messages_to_chat(call)
        request = translated.request
        response = await self._ask(request, call)
        answered = self._upstream.answered(call, response, translated.dropped)
        if request.stream:
            codec = ChatEventsToMessage(model=call.request.model)
            return await self._upstream.stream(response, codec, call, answered)
        body = await self._upstream.read(response)
        message, usage = chat_to_message(body, model=call.request.model)
        if usage is None:
            answered = replace(answered, degraded=("unknown-usage",))
        return Whole(body=message, dialect="anthropic", usage=usage, answered=answered)

    def _ask(self, request: ChatRequest, call: Call) -> Awaitable[Response]:
        path, seconds = _PATHS[request.endpoint], call.target.first_token
        return self._upstream.ask(request, path, call.deadline, first_token=seconds)

    async def warm(self) -> None:
        """Send the warm-up prompt until its first token, then open and keep connections."""
        meter = OpenAIMeter(hide_usage=False)
        await self._upstream.warm(self._warmup, "chat", _PATHS["chat"], meter)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._upstream.aclose()


def check_answer(body: bytes, endpoint: Endpoint) -> Usage | None:
    """Return the usage of a whole answer. Raises UpstreamError for what is no answer."""
    answer = read_answer(body, _read_whole)
    if (answer.data is None) if endpoint == "embeddings" else not answer.choices:
        raise broken("bad_upstream", "the answer has neither choices nor data")
    told = answer.usage
    if endpoint == "embeddings" and isinstance(told, dict):
        told = {"completion_tokens": 0, **told}  # there is nothing to write, and none says so
    return openai_usage(told)


def _prepare(call: Call) -> tuple[ChatRequest, tuple[str, ...]]:
    """Return the request as the upstream gets it, its very bytes if nothing need change."""
    request, model = call.request, call.target.model
    changes: dict[str, Any] = {}
    if request.model != model.upstream_name:
        changes["model"] = model.upstream_name
    if request.stream:
        changes |= _usage_wanted(request)
    dropped = _refused_sampling(call)
    changes |= dict.fromkeys(dropped)
    if call.target.chosen and model.max_tokens_field == "max_completion_tokens":
        changes |= _renamed_limit(request)
    return (request.with_fields(**changes) if changes else request), dropped


def _usage_wanted(request: ChatRequest) -> dict[str, Any]:
    if request.wants_usage:
        return {}
    options = request.fields.get("stream_options") or {}
    return {"stream_options": {**options, "include_usage": True}}


def _refused_sampling(call: Call) -> tuple[str, ...]:
    """Name the sampling parameters to leave out: never when the caller chose the model."""
    kind = call.target.model.sampling
    if kind == "all" or not (call.target.chosen or call.drop_params):
        return ()
    given = [name for name in ("temperature", "top_p") if call.request.fields.get(name) is not None]
    return tuple(given if kind == "none" else given[1:])


def _renamed_limit(request: ChatRequest) -> dict[str, Any]:
    limit = request.fields.get("max_tokens")
    if limit is None or request.fields.get("max_completion_tokens") is not None:
        return {}
    return {"max_tokens": None, "max_completion_tokens": limit}


def _estimate(call: Call, provider: str) -> Whole:
    """Guess the tokens of a messages request: no OpenAI upstream counts them."""
    return Whole(
        body=wire.encode({"input_tokens": input_tokens(call.request)}),
        dialect="anthropic",
        answered=Answered(
            provider=provider, model=call.target.model.name, degraded=("estimated-tokens",)
        ),
    )
