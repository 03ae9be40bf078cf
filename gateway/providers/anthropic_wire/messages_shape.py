"""Reading a stranger's Messages fields: the right type, or a BadRequest that names the place."""

from collections.abc import Iterable, Iterator
from typing import Any

from gateway.core.errors import BadRequest
from gateway.providers.anthropic_wire.vocabulary import Losses, missing


def expected(param: str, what: str) -> BadRequest:
    """Return the error for a wrong value; `param` is a path of ours, never caller text."""
    return BadRequest(f"'{param}' must be {what}.", param=param)


def text_of(holder: dict[str, Any], name: str, path: str) -> str:
    """Return a required string."""
    value = holder.get(name)
    if not isinstance(value, str):
        raise expected(f"{path}.{name}", "a string")
    return value


def object_of(holder: dict[str, Any], name: str, path: str) -> dict[str, Any]:
    """Return a required object."""
    value = holder.get(name)
    if not isinstance(value, dict):
        raise expected(f"{path}.{name}", "an object")
    return value


def objects(value: object, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each object of a list, with its path."""
    if not isinstance(value, list):
        raise expected(path, "a list")
    for index, item in enumerate(value):
        place = f"{path}[{index}]"
        if not isinstance(item, dict):
            raise expected(place, "an object")
        yield place, item


def blocks(content: object, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each content block with its path; a string counts as one text block."""
    if isinstance(content, str):
        yield path, {"type": "text", "text": content}
    elif isinstance(content, list):
        yield from objects(content, path)
    else:
        raise expected(path, "a string or a list of content blocks")


def texts(content: object, path: str) -> Iterator[str]:
    """Yield the text of content that may hold nothing else; empty texts are left out."""
    for place, block in blocks(content, path):
        text = _plain_text(block, place)
        if text:
            yield text


def text_parts(
    found: Iterable[tuple[str, dict[str, Any]]], losses: Losses
) -> Iterator[dict[str, Any]]:
    """Yield blocks as text parts, with the cache marks that `losses` lets through."""
    for place, block in found:
        text = _plain_text(block, place)
        if text:
            part = {"type": "text", "text": text}
            losses.mark(block, part)
            yield part


def _plain_text(block: dict[str, Any], path: str) -> str:
    kind = block.get("type")
    if kind != "text":
        raise missing(f"{path}.type") if kind else expected(f"{path}.type", "text")
    return text_of(block, "text", path)


def joined(parts: list[dict[str, Any]], between: str) -> str | list[dict[str, Any]]:
    """Return texts as one plain string, which every server takes, unless marks stand on them."""
    if any("cache_control" in part for part in parts):
        return parts
    return between.join(part["text"] for part in parts)
