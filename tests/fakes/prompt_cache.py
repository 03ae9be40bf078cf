"""An upstream that keeps the beginnings of prompts where they are marked, as Anthropic documents.

Tools come before the system prompt, that before the messages; a plain text is a block of text, and
marks are no part of what is compared. For each mark it looks at that block and the 19 before it.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.fakes.anthropic_events import end, event, start, text
from tests.fakes.upstream import Answer, Received, json_reply, sse_reply

LOOKBACK = 20


class PromptCache:
    """Answers every request. `usages` are what it told, `bodies` what it was sent."""

    def __init__(self, least: int = 1024) -> None:
        self._least = least
        self._kept: dict[str, str] = {}
        self.usages: list[Mapping[str, Any]] = []
        self.bodies: list[Any] = []

    def __call__(self, request: Received) -> Answer:
        body = request.json
        self.bodies.append(body)
        blocks = list(prompt_of(body))
        marks = [index for index, (_, mark) in enumerate(blocks) if mark is not None]
        if len(marks) > 4:
            return json_reply({"type": "error", "error": {"type": "invalid_request_error"}}, 400)
        prefixes = [json.dumps([b for b, _ in blocks[: n + 1]]) for n in range(len(blocks))]
        seen = [
            index
            for mark in marks
            for index in range(max(0, mark - LOOKBACK + 1), mark + 1)
            if prefixes[index] in self._kept
        ]
        read = len(prefixes[max(seen)]) // 4 if seen else 0
        written = read
        hour = 0
        for mark in marks:
            size = len(prefixes[mark]) // 4
            if size >= self._least:
                ttl = str((blocks[mark][1] or {}).get("ttl", "5m"))
                self._kept[prefixes[mark]] = ttl
                hour += max(0, size - written) if ttl == "1h" else 0
                written = max(written, size)
        usage = {
            "input_tokens": len(prefixes[-1]) // 4 - written,
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": written - read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": written - read - hour,
                "ephemeral_1h_input_tokens": hour,
            },
            "output_tokens": 2,
        }
        self.usages.append(usage)
        return _streamed(usage) if body.get("stream") else _whole(usage)


def prompt_of(body: Any) -> Iterator[tuple[str, Mapping[str, Any] | None]]:
    """Yield every block of a prompt without its mark, and the mark."""
    for tool in body.get("tools", ()):
        yield _block("tools", tool)
    for block in _blocks(body.get("system", ())):
        yield _block("system", block)
    for message in body["messages"]:
        for block in _blocks(message["content"]):
            yield _block(message["role"], block)


def without_marks(body: Any) -> Any:
    """Return a request as it would be had nobody marked it; a plain text is a block."""
    parts = {"tools", "system", "messages", "cache_control"}
    plain = {name: value for name, value in body.items() if name not in parts}
    return plain, [block for block, _ in prompt_of(body)]


def marks_in(body: Any) -> list[int]:
    """Return which blocks of the prompt are marked."""
    return [index for index, (_, mark) in enumerate(prompt_of(body)) if mark is not None]


def _blocks(content: Any) -> Any:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _block(where: str, block: Any) -> tuple[str, Mapping[str, Any] | None]:
    bare = {name: value for name, value in block.items() if name != "cache_control"}
    return json.dumps([where, bare]), block.get("cache_control")


def _whole(usage: Mapping[str, Any]) -> Answer:
    return json_reply(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude",
            "content": [{"type": "text", "text": "Yes."}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": usage,
        }
    )


def _streamed(usage: Mapping[str, Any]) -> Answer:
    return sse_reply([start(**usage), event("ping"), text(0, "Yes."), end()])
