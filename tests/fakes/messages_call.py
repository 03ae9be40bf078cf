"""Messages requests on their way to a chat upstream, for the tests of that translation."""

import json
from typing import Any

import pytest

from gateway.core.catalogue import Model, Target
from gateway.core.chat import parse_request
from gateway.core.errors import GatewayError
from gateway.core.ports import Call
from gateway.providers.anthropic_wire.messages_request import messages_to_chat
from gateway.providers.anthropic_wire.vocabulary import Translated

USER: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]
TOOL = {"name": "look", "description": "Looks.", "input_schema": {"type": "object"}}


def model(**facts: Any) -> Model:
    return Model(provider="o", name="ours", upstream="theirs", **facts)


def translate(
    served: Model | None = None, *, chosen: bool = False, drop: bool = False, **fields: Any
) -> Translated:
    body = {"model": "ours", "max_tokens": 50, "messages": USER, **fields}
    return messages_to_chat(
        Call(
            id="req-1",
            request=parse_request("messages", json.dumps(body).encode()),
            target=Target(model=served or model(), chosen=chosen),
            deadline=1.0,
            drop_params=drop,
        )
    )


def chat(served: Model | None = None, **fields: Any) -> dict[str, Any]:
    translated = translate(served, **fields)
    sent: dict[str, Any] = json.loads(translated.request.body)
    assert sent == translated.request.fields
    return sent


def refusal(**fields: Any) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        translate(**fields)
    return caught.value
