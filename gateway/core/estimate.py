"""Tokens without a tokeniser: cheap enough for every request, and said to be a guess."""

from typing import Any, Final

from gateway.core.chat import ChatRequest

BYTES_PER_TOKEN: Final = 4
TOKENS_PER_MESSAGE: Final = 4
_TEXT_FIELDS: Final = ("messages", "system", "tools", "functions", "prompt", "input")
_NO_TEXT: Final = frozenset(
    {
        *("type", "role", "id", "cache_control", "signature"),
        *("source", "data", "image_url", "file", "input_audio"),
    }
)


def input_tokens(request: ChatRequest) -> int:
    """Return about how many tokens the request brings: a token for every 4 bytes of text.

    Each message counts 4 more. Pictures, sound and files count nothing. English text is
    within about a quarter of the truth; Chinese or code may have half as many again.
    """
    fields = request.fields
    size = text_size([fields.get(name) for name in _TEXT_FIELDS])
    messages = fields.get("messages")
    turns = len(messages) if isinstance(messages, list) else 0
    return -(-size // BYTES_PER_TOKEN) + TOKENS_PER_MESSAGE * turns


def text_size(value: Any) -> int:  # noqa: ANN401 - any JSON
    """Return the UTF-8 bytes of all text below `value`; pictures and files are no text."""
    size, todo = 0, [value]
    while todo:
        node = todo.pop()
        if isinstance(node, str):
            size += len(node) if node.isascii() else len(node.encode())
        elif isinstance(node, list):
            todo += node
        elif isinstance(node, dict):
            todo += [child for name, child in node.items() if name not in _NO_TEXT]
    return size
