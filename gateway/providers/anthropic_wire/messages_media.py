"""Anthropic's text, image, document and search result blocks as parts of an OpenAI message."""

from typing import Any, Final

from gateway.providers.anthropic_wire.messages_shape import blocks, expected, object_of, text_of
from gateway.providers.anthropic_wire.messages_shape import texts as plain_texts
from gateway.providers.anthropic_wire.vocabulary import Losses, missing

IMAGES: Final = ("image/jpeg", "image/png", "image/gif", "image/webp")
PDF: Final = "application/pdf"


def part_of(block: dict[str, Any], path: str, losses: Losses) -> list[dict[str, Any]]:
    """Return the parts that say what `block` says; none for an empty text.

    Raises BadRequest for a malformed block, CapabilityMissing for one that chat has no words for.
    """
    found = _parts(block, path, losses)
    if found:
        losses.mark(block, found[-1])
    return found


def _parts(block: dict[str, Any], path: str, losses: Losses) -> list[dict[str, Any]]:
    kind = block.get("type")
    if kind == "text":
        return _text(text_of(block, "text", path))
    if kind == "image":
        return [_image(block, path)]
    if kind == "document":
        return _document(block, path, losses)
    if kind == "search_result":
        return _search_result(block, path, losses)
    if kind is None:
        raise expected(f"{path}.type", "a string")
    raise missing(f"{path}.type")


def _text(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text}] if text else []


def _image(block: dict[str, Any], path: str) -> dict[str, Any]:
    source, place = object_of(block, "source", path), f"{path}.source"
    kind = source.get("type")
    if kind == "base64":
        media_type = source.get("media_type")
        if media_type not in IMAGES:
            raise expected(f"{place}.media_type", f"one of {', '.join(IMAGES)}")
        url = f"data:{media_type};base64,{text_of(source, 'data', place)}"
    elif kind == "url":
        url = text_of(source, "url", place)
    else:
        raise missing(f"{place}.type")
    return {"type": "image_url", "image_url": {"url": url}}


def _document(block: dict[str, Any], path: str, losses: Losses) -> list[dict[str, Any]]:
    source, place = object_of(block, "source", path), f"{path}.source"
    _citations(block, losses)
    title = block.get("title")
    if title is not None and not isinstance(title, str):
        raise expected(f"{path}.title", "a string")
    kind = source.get("type")
    if kind == "base64":
        if source.get("media_type") != PDF:
            raise expected(f"{place}.media_type", PDF)
        data = f"data:{PDF};base64,{text_of(source, 'data', place)}"
        file = {"filename": title or "document.pdf", "file_data": data}
        body = [{"type": "file", "file": file}]
        title = None
    elif kind == "text":
        body = _text(text_of(source, "data", place))
    elif kind == "content":
        body = [
            part
            for where, item in blocks(source.get("content"), f"{place}.content")
            for part in part_of(item, where, losses)
        ]
    else:
        raise missing(f"{place}.type")
    context = block.get("context")
    notes = [note for note in (title, context if isinstance(context, str) else None) if note]
    return [*_text("\n".join(notes)), *body]


def _search_result(block: dict[str, Any], path: str, losses: Losses) -> list[dict[str, Any]]:
    _citations(block, losses)
    head = f"{text_of(block, 'title', path)}\n{text_of(block, 'source', path)}"
    return _text("\n\n".join([head, *plain_texts(block.get("content"), f"{path}.content")]))


def _citations(block: dict[str, Any], losses: Losses) -> None:
    """Citations that were asked for would be missing from the answer: that is a loss."""
    asked = block.get("citations")
    if isinstance(asked, dict) and asked.get("enabled") is True:
        losses.parameter("citations")
