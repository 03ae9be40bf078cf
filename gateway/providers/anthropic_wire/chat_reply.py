"""An Anthropic message as an OpenAI chat completion."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.core import stream_errors, wire
from gateway.core.errors import UpstreamBroken
from gateway.core.reply import Usage
from gateway.core.usage import anthropic_usage
from gateway.providers.anthropic_wire.vocabulary import (
    PLAIN,
    AnswerForm,
    chat_usage,
    finish_reason,
)

REFUSED: Final = "The model refused to answer."
_PLAIN_STOPS: Final = frozenset({"end_turn", "max_tokens", "tool_use"})


def message_to_chat(
    body: bytes, *, model: str, created: int, form: AnswerForm = PLAIN
) -> tuple[bytes, Usage | None]:
    """Return the completion and its usage, None when the message has none. Raises UpstreamError.

    Blocks without a counterpart (server tools and their results, kinds not known yet) are left
    out; a stop reason that OpenAI has no word for stays as `native_finish_reason`.
    """
    said = _read(body)
    told = said.get("usage")
    usage = anthropic_usage(told) if isinstance(told, dict) else None
    answer = _Answer(form)
    for block in said["content"]:
        if isinstance(block, dict):
            answer.take(block)
    stop = text_of(said.get("stop_reason"))
    choice = {
        "index": 0,
        "message": answer.message(refusal_text(said) if stop == "refusal" else None),
        "logprobs": None,
        "finish_reason": finish_of(stop, called=bool(answer.calls), form=form),
        **stop_extensions(said),
    }
    whole = {
        "id": text_of(said.get("id")),
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [choice],
    }
    if usage is not None:
        whole["usage"] = chat_usage(usage)
    return wire.encode(whole), usage


def finish_of(stop: str, *, called: bool, form: AnswerForm) -> str:
    """Return the finish reason; a call of the answer tool alone is a plain stop."""
    if form.json_tool and stop == "tool_use" and not called:
        return "stop"
    finish = finish_reason(stop, called=called)
    return "function_call" if form.functions and finish == "tool_calls" else finish


def stop_extensions(ending: Mapping[str, Any]) -> dict[str, Any]:
    """Return what OpenAI's finish reason cannot say: `native_finish_reason`, `stop_details`."""
    said: dict[str, Any] = {}
    stop = ending.get("stop_reason")
    if isinstance(stop, str) and stop not in _PLAIN_STOPS:
        said["native_finish_reason"] = stop
    if ending.get("stop_sequence") is not None:
        said["stop_sequence"] = ending["stop_sequence"]
    if ending.get("stop_details") is not None:
        said["stop_details"] = ending["stop_details"]
    return said


def refusal_text(ending: Mapping[str, Any]) -> str:
    """Return the model's reason for a refusal, or a plain statement of it."""
    explanation = _object(ending.get("stop_details")).get("explanation")
    return explanation if isinstance(explanation, str) and explanation else REFUSED


def reasoning_detail(block: Mapping[str, Any], index: int) -> dict[str, Any] | None:
    """Return a thinking block in the form that `chat_request` takes back, None if unsigned."""
    if block.get("type") == "redacted_thinking":
        detail = {"type": "reasoning.encrypted", "data": block.get("data")}
    elif block.get("signature"):
        detail = {
            "type": "reasoning.text",
            "text": text_of(block.get("thinking")),
            "signature": block["signature"],
        }
    else:
        return None
    return {**detail, "format": "anthropic-claude-v1", "index": index}


def text_of(value: object) -> str:
    """Return a string as it is and anything else as an empty one."""
    return value if isinstance(value, str) else ""


def annotations(citations: object, start: int, end: int) -> Iterator[dict[str, Any]]:
    """Yield web citations as OpenAI's; those of documents have no URL and no counterpart."""
    for citation in citations if isinstance(citations, list) else ():
        if not isinstance(citation, dict):
            continue
        url = citation.get("url") or citation.get("source")
        if isinstance(url, str) and url.startswith(("https://", "http://")):
            about = {
                "url": url,
                "title": citation.get("title") or "",
                "start_index": start,
                "end_index": end,
            }
            yield {"type": "url_citation", "url_citation": about}


def _read(body: bytes) -> dict[str, Any]:
    try:
        said = wire.decode(body)
    except ValueError as error:
        raise _makes_no_sense("the answer is not JSON") from error
    if isinstance(said, dict) and said.get("type") == "error":
        raise stream_errors.reported(body, primed=False)
    if not isinstance(said, dict) or not isinstance(said.get("content"), list):
        raise _makes_no_sense("the answer is not a message")
    return said


def _makes_no_sense(detail: str) -> UpstreamBroken:
    return UpstreamBroken(
        "The provider's answer makes no sense.", code="bad_upstream", detail=detail
    )


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


class _Answer:
    """Gathers a message's blocks under OpenAI's headings."""

    def __init__(self, form: AnswerForm) -> None:
        self.calls: list[dict[str, Any]] = []
        self._form = form
        self._texts: list[str] = []
        self._length = 0
        self._thoughts: list[str] = []
        self._details: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def take(self, block: Mapping[str, Any]) -> None:
        match block.get("type"):
            case "text":
                self._text(block)
            case "tool_use":
                self._call(block)
            case "thinking" | "redacted_thinking":
                self._thoughts.append(text_of(block.get("thinking")))
                detail = reasoning_detail(block, len(self._details))
                if detail is not None:
                    self._details.append(detail)
            case _:
                pass

    def message(self, refusal: str | None) -> dict[str, Any]:
        content = "".join(self._texts)
        empty = bool(self.calls) or refusal is not None
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if empty and not content else content,
            "refusal": refusal,
        }
        if self.calls and self._form.functions:
            message["function_call"] = self.calls[0]["function"]
        elif self.calls:
            message["tool_calls"] = self.calls
        thoughts = "".join(self._thoughts)
        if thoughts:
            message["reasoning_content"] = thoughts
        if self._details:
            message["reasoning_details"] = self._details
        if self._annotations:
            message["annotations"] = self._annotations
        return message

    def _text(self, block: Mapping[str, Any]) -> None:
        text = text_of(block.get("text"))
        start = self._length
        self._texts.append(text)
        self._length += len(text)
        self._annotations += annotations(block.get("citations"), start, self._length)

    def _call(self, block: Mapping[str, Any]) -> None:
        given = wire.encode(block.get("input") or {}).decode()
        if self._form.json_tool and block.get("name") == self._form.json_tool:
            self._texts.append(given)
            return
        function = {"name": text_of(block.get("name")), "arguments": given}
        call = {"id": text_of(block.get("id")), "type": "function", "function": function}
        self.calls.append(call)
