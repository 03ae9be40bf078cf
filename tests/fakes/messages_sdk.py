"""What the official Anthropic SDK makes of a reply: its own parser and its own accumulation."""

import json
from typing import Any

import anthropic
import httpx2
from anthropic.types import Message

from gateway.core.reply import Block
from gateway.core.sse import events


def _client(body: bytes, content_type: str) -> anthropic.Anthropic:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=body, headers={"content-type": content_type})

    transport = httpx2.MockTransport(answer)
    return anthropic.Anthropic(
        api_key="test",
        base_url="http://upstream.test",
        max_retries=0,
        http_client=httpx2.Client(transport=transport),
    )


def read_whole(body: bytes) -> Message:
    """Parse strictly, then let the SDK's client return it."""
    Message.model_validate_json(body)
    with _client(body, "application/json") as client:
        return client.messages.create(
            model="m", max_tokens=5, messages=[{"role": "user", "content": "hi"}]
        )


def read_stream(body: bytes) -> Message:
    """Return the message that the SDK's stream accumulates. Raises what the SDK raises."""
    with (
        _client(body, "text/event-stream") as client,
        client.messages.stream(
            model="m", max_tokens=5, messages=[{"role": "user", "content": "hi"}]
        ) as stream,
    ):
        return stream.get_final_message()


def told(body: bytes) -> list[dict[str, Any]]:
    """Return the events of a stream, each checked to have a name that equals its type."""
    found = []
    for event in events(Block(body)):
        data = json.loads(event.data)
        assert event.name == data["type"]
        found.append(data)
    return found
