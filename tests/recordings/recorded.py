"""Recorded provider traffic: real answers of real providers, read from beside the checkout."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

DEFAULT = Path(__file__).parents[2] / "../shared/data/wire"
FOLDER = Path(os.environ.get("TURNOUT_RECORDINGS") or DEFAULT)
REQUIRED = os.environ.get("TURNOUT_RECORDINGS_REQUIRED") == "1"
REASON = "no recordings here: TURNOUT_RECORDINGS names their folder"
needs_recordings = pytest.mark.skipif(not FOLDER.is_dir() and not REQUIRED, reason=REASON)

ENDPOINTS = {
    "/chat/completions": "chat",
    "/completions": "completions",
    "/embeddings": "embeddings",
    "/v1/messages/count_tokens": "count_tokens",
    "/v1/messages": "messages",
    "/v1/responses": "responses",
}
PATHS = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "embeddings": "/v1/embeddings",
    "messages": "/v1/messages",
    "count_tokens": "/v1/messages/count_tokens",
}


@dataclass(frozen=True)
class Recording:
    """One exchange of one file."""

    name: str
    endpoint: str
    provider: str
    request: Mapping[str, Any] | None
    status: int
    headers: Mapping[str, str]
    body: bytes
    stream: bool

    @property
    def dialect(self) -> str:
        return "anthropic" if self.endpoint in ("messages", "count_tokens") else "openai"

    @property
    def sent(self) -> dict[str, Any]:
        """The recorded request, or a small one of the same kind where none was recorded."""
        if self.request is not None:
            return dict(self.request)
        return {
            "model": "recorded-model",
            "max_tokens": 100,
            "messages": [{"role": "user", "content": "Hello"}],
            "stream": self.stream,
        }


@dataclass
class Answer:
    """What an answer says, in neutral words."""

    text: str = ""
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    """Tool calls as (id, name, arguments)."""
    stop: str | None = None
    usage: dict[str, int] = field(default_factory=dict)


@cache
def recordings() -> tuple[Recording, ...]:
    if not FOLDER.is_dir():
        return ()
    return tuple(_read_all())


def _read_all() -> Iterator[Recording]:
    for path in sorted(FOLDER.glob("*.json")):
        for index, exchange in enumerate(json.loads(path.read_text())["exchanges"]):
            yield _read(f"{path.stem}#{index}", exchange)


def _read(name: str, exchange: dict[str, Any]) -> Recording:
    request, response = exchange["request"], exchange["response"]
    path = (request["path"] if request else exchange["endpoint"]).split("?")[0]
    endpoint = next(kind for end, kind in ENDPOINTS.items() if path.endswith(end))
    stream = "sse" in response
    body = response["sse"] if stream else response.get("body", response.get("text"))
    kept = {
        k: v
        for k, v in response["headers"].items()
        if k not in ("content-type", "transfer-encoding", "content-length")
    }
    return Recording(
        name=name,
        endpoint=endpoint,
        provider=exchange["provider"],
        request=request["body"] if request else None,
        status=response["status"],
        headers=kept,
        body=body.encode() if isinstance(body, str) else json.dumps(body).encode(),
        stream=stream,
    )


def chosen(*endpoints: str) -> list[Recording]:
    return [r for r in recordings() if r.endpoint in endpoints]


def data_lines(sse: bytes) -> Iterator[dict[str, Any]]:
    """The JSON of every data line, read the plainest way there is."""
    for line in sse.decode().replace("\r\n", "\n").split("\n"):
        if line.startswith("data:") and not line[5:].strip().startswith("[DONE]"):
            yield json.loads(line[5:])


def said_by_openai(recording: Recording) -> Answer:
    """What an OpenAI answer says, read without any code of the project."""
    if not recording.stream:
        whole = json.loads(recording.body)
        return _whole_chat(whole)
    answer, calls = Answer(), dict[int, list[str]]()
    for chunk in data_lines(recording.body):
        if chunk.get("usage"):
            answer.usage = _openai_usage(chunk["usage"])
        for choice in chunk.get("choices", []):
            delta = choice.get("delta") or {}
            answer.text += (delta.get("content") or "") + (delta.get("refusal") or "")
            answer.stop = choice.get("finish_reason") or answer.stop
            for call in delta.get("tool_calls") or []:
                parts = calls.setdefault(call["index"], ["", "", ""])
                parts[0] = call.get("id") or parts[0]
                parts[1] = call["function"].get("name") or parts[1]
                parts[2] += call["function"].get("arguments") or ""
    answer.calls = [(i, n, json.loads(a or "{}")) for i, n, a in calls.values()]
    return answer


def _whole_chat(whole: dict[str, Any]) -> Answer:
    choice = whole["choices"][0]
    message = choice.get("message") or {}
    calls = [
        (c["id"], c["function"]["name"], json.loads(c["function"]["arguments"] or "{}"))
        for c in message.get("tool_calls") or []
    ]
    if message.get("function_call"):
        call = message["function_call"]
        calls = [("", call["name"], json.loads(call["arguments"]))]
    text = (message.get("content") or "") + (message.get("refusal") or "")
    return Answer(text, calls, choice["finish_reason"], _openai_usage(whole["usage"]))


def _openai_usage(usage: dict[str, Any]) -> dict[str, int]:
    return {
        "input": usage["prompt_tokens"],
        "output": usage["completion_tokens"],
        "cached": (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0,
    }


def said_by_anthropic(recording: Recording) -> Answer:
    """What an Anthropic answer says, read without any code of the project."""
    if not recording.stream:
        whole = json.loads(recording.body)
        blocks = whole["content"]
        answer = Answer(stop=whole["stop_reason"], usage=_anthropic_usage(whole["usage"]))
    else:
        answer, blocks = _gather(recording.body)
    answer.text = "".join(b["text"] for b in blocks if b["type"] == "text")
    answer.calls = [(b["id"], b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"]
    return answer


def _gather(sse: bytes) -> tuple[Answer, list[dict[str, Any]]]:
    answer, blocks, raw = Answer(), dict[int, dict[str, Any]](), dict[int, str]()
    usage: dict[str, Any] = {}
    for event in data_lines(sse):
        match event["type"]:
            case "message_start":
                usage |= {k: v for k, v in event["message"]["usage"].items() if v is not None}
            case "content_block_start":
                blocks[event["index"]] = dict(event["content_block"])
            case "content_block_delta":
                delta, block = event["delta"], blocks[event["index"]]
                if delta["type"] == "text_delta":
                    block["text"] += delta["text"]
                elif delta["type"] == "input_json_delta":
                    raw[event["index"]] = raw.get(event["index"], "") + delta["partial_json"]
            case "message_delta":
                answer.stop = event["delta"].get("stop_reason") or answer.stop
                usage |= {k: v for k, v in event["usage"].items() if v is not None}
            case _:
                pass
    for index, text in raw.items():
        blocks[index]["input"] = json.loads(text or "{}")
    answer.usage = _anthropic_usage(usage)
    return answer, list(blocks.values())


def _anthropic_usage(usage: dict[str, Any]) -> dict[str, int]:
    read = usage.get("cache_read_input_tokens") or 0
    written = usage.get("cache_creation_input_tokens") or 0
    return {
        "input": usage["input_tokens"] + read + written,
        "output": usage["output_tokens"],
        "cached": read,
    }
