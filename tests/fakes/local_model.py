"""Asking the local provider's real model; without its packages such tests are skipped."""

import time
from typing import Any

import pytest

from gateway.core import wire
from gateway.core.catalogue import Model, Target
from gateway.core.chat import Endpoint, parse_request
from gateway.core.ports import Call
from gateway.core.reply import Whole
from gateway.providers.local.provider import Local, LocalConfig

MISSING = LocalConfig().unusable()
needs_model = pytest.mark.skipif(bool(MISSING), reason=f"no local model: {MISSING}")
MODEL = Model(provider="local", name="local/smollm2", upstream="smollm2")


def ask(
    content: str = "Why is the sky blue?",
    *,
    endpoint: Endpoint = "chat",
    seconds: float = 50.0,
    **fields: Any,
) -> Call:
    body = {"model": "local/smollm2", "max_tokens": 16, **fields}
    body["messages"] = [{"role": "user", "content": content}]
    request = parse_request(endpoint, wire.encode(body))
    return Call("req-1", request, Target(MODEL), time.monotonic() + seconds)


async def whole(provider: Local, call: Call) -> Any:
    reply = await provider.send(call)
    assert isinstance(reply, Whole)
    return wire.decode(reply.body)
