"""The parts that messages are made of, in either dialect."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

PICTURES: Final = frozenset({"image_url", "image", "input_image"})
"""What a part that is a picture calls itself: in chat, in messages, in OpenAI's responses."""


class Part(Struct, frozen=True):
    """One part of a message."""

    kind: str
    """Its `type`, empty when that is no text."""
    fields: Mapping[str, Any]
    path: str
    """Where it stands, such as `messages[0].content[1]`."""


def message_parts(fields: Mapping[str, Any]) -> Iterator[Part]:
    """Yield every part of a request's messages; those within another one come right after it.

    Tool results hold parts in their `content`, documents in that of their `source`.
    """
    messages = fields.get("messages")
    for index, message in enumerate(messages if isinstance(messages, list) else ()):
        yield from _parts(message, f"messages[{index}]")


def kind_of(fields: Mapping[str, Any]) -> str:
    """Return what a part or a source says that it is, empty when that is no text."""
    kind = fields.get("type")
    return kind if isinstance(kind, str) else ""


def _parts(holder: object, path: str) -> Iterator[Part]:
    content = holder.get("content") if isinstance(holder, dict) else None
    for index, fields in enumerate(content if isinstance(content, list) else ()):
        if isinstance(fields, dict):
            place = f"{path}.content[{index}]"
            yield Part(kind_of(fields), fields, place)
            yield from _parts(fields, place)
            yield from _parts(fields.get("source"), f"{place}.source")
