"""Hand-written Anthropic messages and event streams, and their translation collected again."""

import json
from collections.abc import Iterable
from typing import Any

from openai.types.chat import ChatCompletionChunk

from gateway.core.reply import Block
from gateway.core.sse import events
from gateway.providers.anthropic_wire.chat_stream import MessageEventsToChat
from gateway.providers.anthropic_wire.vocabulary import PLAIN, AnswerForm

USAGE = {"input_tokens": 10, "output_tokens": 1}


def event(kind: str, **fields: Any) -> bytes:
    data = json.dumps({"type": kind, **fields}, ensure_ascii=False)
    return f"event: {kind}\ndata: {data}\n\n".encode()


def start(**usage: Any) -> bytes:
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-1",
        "content": [],
        "stop_reason": None,
        "usage": {**USAGE, **usage},
    }
    return event("message_start", message=message)


def opening(index: int, **block: Any) -> bytes:
    return event("content_block_start", index=index, content_block=block)


def delta(index: int, kind: str, **fields: Any) -> bytes:
    return event("content_block_delta", index=index, delta={"type": kind, **fields})


def closing(index: int) -> bytes:
    return event("content_block_stop", index=index)


def text(index: int, *pieces: str) -> bytes:
    parts = [delta(index, "text_delta", text=piece) for piece in pieces]
    return opening(index, type="text", text="") + b"".join(parts) + closing(index)


def tool(index: int, call_id: str, name: str, *pieces: str, **given: Any) -> bytes:
    parts = [delta(index, "input_json_delta", partial_json=piece) for piece in pieces]
    head = opening(index, type="tool_use", id=call_id, name=name, input=given)
    return head + b"".join(parts) + closing(index)


def end(reason: str | None = "end_turn", *, output: int = 5, **more: Any) -> bytes:
    usage = {"output_tokens": output, **more.pop("usage", {})}
    ending = event("message_delta", delta={"stop_reason": reason, **more}, usage=usage)
    return ending + event("message_stop")


class Collected:
    """What an OpenAI client makes of a translated stream; every chunk passes the SDK's model."""

    def __init__(self, out: bytes) -> None:
        self.comments = out.count(b": ping\n\n")
        read = list(events(out))
        self.done = bool(read) and read[-1].data == b"[DONE]"
        self.raw: list[dict[str, Any]] = [json.loads(e.data) for e in read if e.data != b"[DONE]"]
        self.chunks = [ChatCompletionChunk.model_validate(chunk) for chunk in self.raw]
        self.choices = [choice for chunk in self.raw for choice in chunk["choices"]]
        self.deltas: list[dict[str, Any]] = [choice["delta"] for choice in self.choices]
        finishes = [c["finish_reason"] for c in self.choices if c["finish_reason"] is not None]
        assert len(finishes) <= 1
        self.finish = finishes[0] if finishes else None

    def joined(self, name: str) -> str:
        return "".join(delta.get(name) or "" for delta in self.deltas)

    def listed(self, name: str) -> list[Any]:
        return [item for delta in self.deltas for item in delta.get(name) or ()]

    @property
    def calls(self) -> list[tuple[str, str, str]]:
        """Id, name and arguments of each call; the id and name come once, in its first delta."""
        calls: dict[int, list[str]] = {}
        for call in self.listed("tool_calls"):
            if call["index"] in calls:
                assert set(call) == {"index", "function"}
                assert set(call["function"]) == {"arguments"}
            else:
                calls[call["index"]] = [call["id"], call["function"]["name"], ""]
            calls[call["index"]][2] += call["function"]["arguments"]
        assert list(calls) == list(range(len(calls)))
        return [(found[0], found[1], found[2]) for found in calls.values()]


def codec(*, include_usage: bool = False, form: AnswerForm = PLAIN) -> MessageEventsToChat:
    return MessageEventsToChat(include_usage=include_usage, model="ours", created=7, form=form)


def collect(
    parts: Iterable[bytes], *, include_usage: bool = False, form: AnswerForm = PLAIN
) -> Collected:
    reader = codec(include_usage=include_usage, form=form)
    out = b"".join([reader.feed(Block(part)) for part in parts])
    return Collected(out + reader.finish())
