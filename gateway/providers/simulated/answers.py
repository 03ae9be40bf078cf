"""What a simulated provider says: made from the model's name and the prompt, and never an echo."""

import re
from collections.abc import Mapping
from hashlib import blake2b
from math import sqrt
from random import Random
from typing import Any, Final, Literal

from msgspec import Struct

from gateway.core import wire
from gateway.core.chat import ChatRequest
from gateway.providers.simulated.schema import TooComplex, example

Finish = Literal["stop", "length", "tool_calls"]

TOKENS_PER_MESSAGE: Final = 4
TOKENS_PER_PICTURE: Final = 85
_TOKEN: Final = re.compile(r"\s?\w{1,6}|\s?[^\w\s]|\s")
# fmt: off
_WORDS: Final = (
    "amber", "anchor", "april", "autumn", "basin", "beacon", "birch", "bridge", "candle", "canyon",
    "cedar", "cinder", "cloud", "clover", "comet", "coral", "cotton", "crane", "delta", "dune",
    "ember", "falcon", "fern", "field", "flint", "forest", "garden", "glacier", "grain", "granite",
    "harbour", "hazel", "heron", "hill", "honey", "island", "ivory", "jasmine", "juniper",
    "kettle", "lantern", "lark", "lemon", "lily", "linen", "maple", "marble", "meadow", "mint",
    "mirror", "morning", "moss", "mountain", "north", "oak", "ocean", "olive", "orchard", "otter",
    "paper", "pebble", "pepper", "pine", "plain", "plum", "pond", "poplar", "quarry", "quartz",
    "rain", "raven", "reed", "ridge", "river", "robin", "saffron", "sage", "sail", "salt", "sand",
    "shell", "silver", "slate", "snow", "sparrow", "spring", "spruce", "stone", "summer",
    "thistle", "thunder", "timber", "valley", "velvet", "violet", "walnut", "water", "willow",
    "winter", "wren", "yarrow",
)
# fmt: on


class Unanswerable(ValueError):
    """The request asks for what a provider would refuse; `param` is at fault."""

    def __init__(self, param: str, what: str) -> None:
        super().__init__(what)
        self.param = param


class ToolCall(Struct, frozen=True):
    """A call of one of the caller's tools."""

    id: str
    name: str


class Answer(Struct, frozen=True):
    """One answer, cut into tokens. With a tool they are its arguments, otherwise the text."""

    tokens: tuple[str, ...]
    finish: Finish
    asked: int
    tool: ToolCall | None = None

    @property
    def text(self) -> str:
        """All tokens joined."""
        return "".join(self.tokens)


def split_tokens(text: str) -> list[str]:
    """Cut text into tokens of this provider's own kind; joined they are the text again."""
    return _TOKEN.findall(text)


def answer_to(request: ChatRequest, model: str, length: int) -> Answer:
    """Return the answer to a chat, completion or message: about `length` tokens.

    The same model, prompt and question of form give the same answer; another prompt another one.
    """
    fields = request.fields
    chance = Random(_digest(model, prompt_of(request)))  # noqa: S311 - pseudo-text
    tool = _demanded_tool(request)
    schema = _demanded_schema(request)
    try:
        if tool is not None:
            text = _as_json(example(_parameters(tool), lambda: chance.choice(_WORDS)))
        elif schema is not None:
            text = _as_json(example(schema, lambda: chance.choice(_WORDS)))
        else:
            text = _prose(chance, length)
    except TooComplex as error:
        raise Unanswerable("response_format" if tool is None else "tools", f"{error}") from error
    limit = _limit(fields)
    tokens = tuple(split_tokens(text))
    cut = limit is not None and len(tokens) > limit
    finish: Finish = "length" if cut else "stop" if tool is None else "tool_calls"
    call = ToolCall(f"{chance.getrandbits(96):024x}", _tool_name(tool)) if tool else None
    return Answer(tokens[:limit] if cut else tokens, finish, count_prompt(request), call)


def prompt_of(request: ChatRequest) -> str:
    """Return the text that the answer hangs on: from the last user message on."""
    if request.endpoint == "completions":
        return _text(request.fields["prompt"])
    turns = request.fields["messages"]
    last = max((i for i, turn in enumerate(turns) if turn["role"] == "user"), default=0)
    return "\n".join(_text(turn.get("content")) for turn in turns[last:])


def count_prompt(request: ChatRequest) -> int:
    """Return the tokens of everything that was asked."""
    if request.endpoint == "embeddings":
        return sum(len(split_tokens(text)) for text in inputs_of(request))
    fields = request.fields
    total = sum(len(split_tokens(_text(fields.get(name)))) for name in ("prompt", "system"))
    for turn in fields.get("messages", ()):
        total += TOKENS_PER_MESSAGE + len(split_tokens(_text(turn.get("content"))))
        if isinstance(turn.get("content"), list):
            total += TOKENS_PER_PICTURE * sum(map(_is_picture, turn["content"]))
    tools = fields.get("tools")
    return total + (len(wire.encode(tools)) // 4 if tools else 0)


def inputs_of(request: ChatRequest) -> list[str]:
    """Return the texts of an embeddings request; token numbers are read as text."""
    given = request.fields["input"]
    if isinstance(given, str) or all(isinstance(item, int) for item in given):
        return [_text(given)]
    return [_text(item) for item in given]


def vector_of(model: str, text: str, dimensions: int) -> list[float]:
    """Return the unit vector of a text: the same text always has the same one."""
    chance = Random(_digest(model, text))  # noqa: S311 - pseudo-embedding
    raw = [chance.gauss(0, 1) for _ in range(dimensions)]
    length = sqrt(sum(x * x for x in raw))
    return [x / length for x in raw]


def _digest(model: str, text: str) -> bytes:
    data = f"{model}\0{text}".encode("utf-8", "surrogatepass")
    return blake2b(data, digest_size=16).digest()


def _prose(chance: Random, length: int) -> str:
    wanted = max(1, round(length * chance.uniform(0.5, 1.5)))
    words = [chance.choice(_WORDS) for _ in range(wanted)]
    text = " ".join(words).capitalize() + "."
    return "".join(split_tokens(text)[: wanted - 1]).rstrip() + "."


def _text(content: Any) -> str:  # noqa: ANN401 - whatever the caller put there
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = []
    for part in content:
        if isinstance(part, dict):
            parts.append(_text(part.get("text") or part.get("content")))
        else:
            parts.append(str(part))
    return "\n".join(parts)


def _is_picture(part: Any) -> bool:  # noqa: ANN401 - whatever the caller put there
    return isinstance(part, dict) and part.get("type") in {"image_url", "image", "document", "file"}


def _limit(fields: Mapping[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        limit = fields.get(name)
        if limit is None:
            continue
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            raise Unanswerable(name, "must be a whole number above 0")
        return limit
    return None


def _demanded_tool(request: ChatRequest) -> Mapping[str, Any] | None:
    """Return the tool that must be called, None when the model is free to talk."""
    tools = _tools(request)
    choice = request.fields.get("tool_choice")
    if not tools:
        return None
    if not isinstance(choice, dict):
        return tools[0] if choice == "required" else None
    named = _inner(choice, "function").get("name")
    if named is None:
        return tools[0] if choice.get("type") == "any" else None
    found = [tool for tool in tools if _tool_name(tool) == named]
    if not found:
        raise Unanswerable("tool_choice", "names no tool of this request")
    return found[0]


def _tools(request: ChatRequest) -> list[Mapping[str, Any]]:
    tools = request.fields.get("tools")
    return [t for t in tools if isinstance(t, dict)] if isinstance(tools, list) else []


def _inner(outer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the object called `name`, or `outer` itself: OpenAI nests what Anthropic does not."""
    inner = outer.get(name)
    return inner if isinstance(inner, dict) else outer


def _tool_name(tool: Mapping[str, Any]) -> str:
    return str(_inner(tool, "function").get("name"))


def _parameters(tool: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a JSON Schema
    function = _inner(tool, "function")
    return function.get("parameters") or function.get("input_schema") or {"type": "object"}


def _demanded_schema(request: ChatRequest) -> Any:  # noqa: ANN401 - a JSON Schema
    fields = request.fields
    form = fields.get("response_format")
    if request.endpoint == "messages":
        form = _inner(fields, "output_config").get("format")
    if not isinstance(form, dict):
        return None
    if form.get("type") == "json_object":
        return {"properties": {"answer": {"type": "string"}}}
    if form.get("type") != "json_schema":
        return None
    return _inner(form, "json_schema").get("schema") or {"type": "object"}


def _as_json(value: Any) -> str:  # noqa: ANN401 - JSON is any of six types
    return wire.encode(value).decode()
