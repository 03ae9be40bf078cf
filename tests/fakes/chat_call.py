"""Chat requests on their way to an Anthropic upstream, for the tests of that translation."""

import json
from typing import Any

import pytest

from gateway.core.catalogue import Model, Target
from gateway.core.chat import parse_request
from gateway.core.errors import GatewayError
from gateway.core.ports import Call
from gateway.providers.anthropic_wire.chat_request import chat_to_messages
from gateway.providers.anthropic_wire.vocabulary import Translated

HELLO: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]
PNG = "data:image/png;base64,iVBORw0KGgo="


def claude(**facts: Any) -> Model:
    return Model(provider="a", name="ours", upstream="claude", **{"prefill": True, **facts})


def function(name: str = "look", **facts: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **facts}}


def chat_call(
    served: Model | None = None, /, *, chosen: Any = False, drop: Any = False, **fields: Any
) -> Call:
    body = {"model": "ours", "messages": HELLO, **fields}
    return Call(
        id="req-1",
        request=parse_request("chat", json.dumps(body).encode()),
        target=Target(model=served or claude(), chosen=chosen),
        deadline=1.0,
        drop_params=drop,
    )


def translate(
    served: Model | None = None, /, *, chosen: Any = False, drop: Any = False, **fields: Any
) -> Translated:
    return chat_to_messages(chat_call(served, chosen=chosen, drop=drop, **fields))


def sent(served: Model | None = None, /, **fields: Any) -> dict[str, Any]:
    """Return what goes upstream."""
    body: dict[str, Any] = json.loads(translate(served, **fields).request.body)
    return body


def turns(*messages: dict[str, Any], served: Model | None = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sent(served, messages=list(messages))["messages"]
    return found


def refusal(
    served: Model | None = None, /, *, chosen: Any = False, drop: Any = False, **fields: Any
) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        translate(served, chosen=chosen, drop=drop, **fields)
    return caught.value
