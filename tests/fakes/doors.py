"""The real gateway in front of one scripted upstream of either dialect."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Struct

from tests.fakes.gateway import OpenGateway, open_test_gateway
from tests.fakes.upstream import ScriptedUpstream

MODELS: dict[str, dict[str, Any]] = {
    "openai": {
        "endpoints": ["chat", "completions", "embeddings"],
        "capabilities": [
            *("streaming", "tools", "vision", "documents", "audio"),
            *("json_schema", "json_object", "logprobs"),
        ],
    },
    "anthropic": {
        "capabilities": ["streaming", "tools", "vision", "documents", "json_schema"],
        "max_output": 1000,
        "thinking": "both",
        "price": {"input": 1, "output": 5},
    },
}


class Doors(Struct, frozen=True):
    """`url` has no path: an Anthropic SDK's base_url; an OpenAI SDK's has /v1 behind it."""

    url: str
    model: str
    gateway: OpenGateway


@asynccontextmanager
async def open_doors(
    upstream: ScriptedUpstream,
    dialect: str,
    *,
    key: str = "",
    model: str = "the-model",
    **config: Any,
) -> AsyncIterator[Doors]:
    """Serve `model` from the upstream, which speaks `dialect`; `key` is asked for when given."""
    provider = {"kind": dialect, "base_url": upstream.url, "api_key": "env:PROVIDER_KEY"}
    settings = {"keys": {"tenant": "env:CLIENT_KEY"}} if key else {}
    async with open_test_gateway(
        {"PROVIDER_KEY": "provider-key", "CLIENT_KEY": key},
        providers={"upstream": provider},
        models={model: {"provider": "upstream", **MODELS[dialect]}},
        settings=settings,
        **config,
    ) as gateway:
        yield Doors(url=gateway.root, model=model, gateway=gateway)
