"""`cache_control` for what a conversation repeats in each of its requests."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from gateway.core import wire
from gateway.core.estimate import tokens_in
from gateway.core.exchange import PromptTtl
from gateway.core.wire import Raw

MOST: Final = 4
"""Marks that Anthropic takes in one request."""
LOOKBACK: Final = 20
"""Blocks, that of a mark included, in which Anthropic looks for what it has stored."""
_MARKS: Final[Mapping[PromptTtl, Mapping[str, str]]] = {
    "5m": {"type": "ephemeral"},
    "1h": {"type": "ephemeral", "ttl": "1h"},
}
_MARKABLE: Final = frozenset(
    {"text", "image", "document", "search_result", "tool_use", "tool_result"}
)
_read_fields: Final = wire.decoder(dict[str, Raw]).decode
_read_list: Final = wire.decoder(list[Raw]).decode

Fields = Mapping[str, Any]


class _Place(Struct, frozen=True):
    """Where a mark can stand. `tokens` are about all those up to it."""

    field: str
    block: int
    tokens: int
    message: int = 0


def marked(body: bytes, fields: Fields, ttl: PromptTtl, least: int) -> bytes:
    """Return a messages request with marks where its prefix stays the same from turn to turn.

    A request with a mark of its caller's own stays as it is: whoever marks has a plan. A prefix of
    fewer than `least` tokens gets none. `fields` are `body` decoded; every value of `body` keeps
    its very bytes.
    """
    if b'"cache_control"' in body and any(map(marks_of, _holders(fields))):
        return body
    raw = _read_fields(body)
    places = _places(raw, fields, least)
    for place in places[:MOST]:
        raw[place.field] = _with_mark(raw[place.field], place, _MARKS[ttl])
    return wire.encode(raw) if places else body


def marks_of(block: object) -> int:
    """Return how many marks there are on a block and in its content."""
    if not isinstance(block, dict):
        return 0
    return ("cache_control" in block) + sum(map(marks_of, _items(block.get("content"))))


def _holders(fields: Fields) -> Iterator[object]:
    """Yield whatever can bear a mark, or holds what can."""
    yield {name: value for name, value in fields.items() if name == "cache_control"}
    for name in ("tools", "system", "messages"):
        yield from _items(fields.get(name))


def _places(raw: Mapping[str, Raw], fields: Fields, least: int) -> list[_Place]:
    """Return where marks belong, the most useful first.

    The end of the conversation is what its next request begins with. What a single question says
    at its end nobody asks again, and to store it costs more than to read it.
    """
    tools = _tokens(raw.get("tools"))
    system = tools + _tokens(raw.get("system"))
    found = [_last(fields, "tools", tools), _last(fields, "system", system)]
    turns = _Turns(fields, raw, system)
    ends = turns.ends()
    context = turns.context()
    long = context is not None and context.tokens - system >= least
    ordered = [*ends, found[1], context if long else None, found[0]]
    return [place for place in ordered if place is not None and place.tokens >= least]


def _last(fields: Fields, field: str, tokens: int) -> _Place | None:
    """Return the last tool, or the last block of the system prompt."""
    value = fields.get(field)
    if isinstance(value, str):
        return _Place(field, 0, tokens) if value.strip() else None
    blocks = _items(value)
    for index in range(len(blocks) - 1, -1, -1):
        if _bears(blocks[index]) if field == "system" else _is_tool(blocks[index]):
            return _Place(field, index, tokens)
    return None


class _Turns:
    """The messages of a request, and where the user's end."""

    def __init__(self, fields: Fields, raw: Mapping[str, Raw], before: int) -> None:
        self._messages = _items(fields.get("messages"))
        self._raw = _read_list(raw["messages"]) if self._messages else []
        self._before = before

    def context(self) -> _Place | None:
        """Return the end of what the first message brings before its question."""
        first = self._messages[0] if self._messages else None
        content = first.get("content") if isinstance(first, dict) else None
        if not isinstance(content, list) or first is None or first.get("role") != "user":
            return None
        raw = _read_list(_read_fields(self._raw[0])["content"])
        for index in range(len(content) - 2, -1, -1):
            if _bears(content[index]):
                size = sum(len(bytes(each)) for each in raw[: index + 1])
                return _Place("messages", index, self._before + tokens_in(size))
        return None

    def ends(self) -> list[_Place]:
        """Return the end of the last user message of a conversation.

        And that of the one before, which its last request marked, where Anthropic would not find it
        any more.
        """
        places: list[_Place] = []
        blocks, answered = 0, False
        for index in range(len(self._messages) - 1, -1, -1):
            message = self._messages[index]
            role = message.get("role") if isinstance(message, dict) else None
            answered = answered or (role == "assistant" and bool(places))
            if role == "user" and (answered or not places):
                place = self._end(index)
                if place is not None and places:
                    return [*places, place] if blocks >= LOOKBACK else places
                places += [place] if place is not None else []
            if places:
                content = message.get("content") if isinstance(message, dict) else None
                blocks += len(content) if isinstance(content, list) else 1
        return places if answered else []

    def _end(self, index: int) -> _Place | None:
        content = self._messages[index].get("content")
        size = sum(len(bytes(each)) for each in self._raw[: index + 1])
        tokens = self._before + tokens_in(size)
        if isinstance(content, str):
            return _Place("messages", 0, tokens, index) if content.strip() else None
        blocks = _items(content)
        for at in range(len(blocks) - 1, -1, -1):
            if _bears(blocks[at]):
                return _Place("messages", at, tokens, index)
        return None


def _bears(block: object) -> bool:
    """Tell whether a mark may stand on the block: not on thinking, nor on empty text."""
    if not isinstance(block, dict) or block.get("type") not in _MARKABLE:
        return False
    text = block.get("text")
    return block["type"] != "text" or (isinstance(text, str) and bool(text.strip()))


def _is_tool(tool: object) -> bool:
    """Tell whether a tool is part of the prompt from the start, and so can bear a mark."""
    return isinstance(tool, dict) and not tool.get("defer_loading")


def _with_mark(value: Raw, place: _Place, mark: Fields) -> Raw:
    """Return the field with the mark in its place, all else as it was sent."""
    if place.field != "messages":
        return _content(value, place.block, mark)
    messages = _read_list(value)
    message = bytes(messages[place.message])
    content = _content(_read_fields(message)["content"], place.block, mark)
    messages[place.message] = Raw(wire.replace_fields(message, {"content": content}))
    return Raw(wire.encode(messages))


def _content(value: Raw, index: int, mark: Fields) -> Raw:
    """Return blocks with one of them marked; a plain text becomes a block."""
    if bytes(value).lstrip().startswith(b'"'):
        return Raw(wire.encode([{"type": "text", "text": value, "cache_control": mark}]))
    blocks = _read_list(value)
    blocks[index] = Raw(wire.replace_fields(bytes(blocks[index]), {"cache_control": mark}))
    return Raw(wire.encode(blocks))


def _items(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else []


def _tokens(value: Raw | None) -> int:
    return tokens_in(len(bytes(value))) if value is not None else 0
