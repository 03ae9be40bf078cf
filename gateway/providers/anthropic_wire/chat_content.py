"""OpenAI message content as Anthropic content blocks: text, pictures, documents, thinking."""

from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from gateway.core.errors import BadRequest

Block = dict[str, Any]

IMAGE_TYPES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})


def bad(param: str, expected: str) -> BadRequest:
    """Return a 400 that says what `param`, a path of ours, must be."""
    return BadRequest(f"'{param}' must be {expected}.", param=param)


def unsupported(param: str, why: str) -> BadRequest:
    """Return a 400 for something that Anthropic's API has no word for."""
    return BadRequest(f"'{param}' {why}.", code="unsupported_parameter", param=param)


def blocks(content: object, path: str, *, text_only: bool = False) -> list[Block]:
    """Return the blocks of a message's content; empty text, which Anthropic refuses, is left out.

    Raises BadRequest with a param below `path`.
    """
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    if not isinstance(content, list):
        raise bad(path, "a string or a list of parts")
    found = []
    for index, part in enumerate(content):
        where = f"{path}[{index}]"
        if not isinstance(part, dict):
            raise bad(where, "an object")
        block = _block(part, where, text_only=text_only)
        if block is not None:
            keep_cache(part, block, where)
            found.append(block)
    return found


def keep_cache(source: Mapping[str, Any], block: Block, path: str) -> None:
    """Carry `cache_control` over from any object of the request to its block."""
    control = source.get("cache_control")
    if control is None:
        return
    if not isinstance(control, dict):
        raise bad(f"{path}.cache_control", "an object")
    block["cache_control"] = control


def _block(part: Mapping[str, Any], path: str, *, text_only: bool) -> Block | None:
    kind = part.get("type")
    if kind == "text":
        return _text(part.get("text"), f"{path}.text")
    if kind == "refusal":
        return _text(part.get("refusal"), f"{path}.refusal")
    if text_only:
        raise unsupported(f"{path}.type", "must be text in this place")
    if kind == "image_url":
        return _image(part.get("image_url"), f"{path}.image_url")
    if kind == "file":
        return _file(part.get("file"), f"{path}.file")
    if kind == "input_audio":
        raise unsupported(path, "is audio, which this model does not take")
    raise unsupported(f"{path}.type", "is not a kind of content that this model takes")


def _text(value: object, path: str) -> Block | None:
    if not isinstance(value, str):
        raise bad(path, "a string")
    return {"type": "text", "text": value} if value else None


def _image(value: object, path: str) -> Block:
    url = value.get("url") if isinstance(value, dict) else value
    if not isinstance(url, str):
        raise bad(f"{path}.url", "a string")
    if url.startswith("https://"):
        return {"type": "image", "source": {"type": "url", "url": url}}
    media, data = _data_url(url, f"{path}.url", "an https: URL or a base64 data: URL")
    return _picture(media, data, f"{path}.url")


def _picture(media: str, data: str, path: str) -> Block:
    media = "image/jpeg" if media == "image/jpg" else media
    if media not in IMAGE_TYPES:
        raise bad(path, "a JPEG, PNG, GIF or WebP picture")
    return {"type": "image", "source": {"type": "base64", "media_type": media, "data": data}}


def _file(value: object, path: str) -> Block:
    if not isinstance(value, dict):
        raise bad(path, "an object")
    if value.get("file_id") is not None:
        raise unsupported(f"{path}.file_id", "names a file that only OpenAI holds; send file_data")
    where = f"{path}.file_data"
    given = value.get("file_data")
    if not isinstance(given, str):
        raise bad(where, "a string")
    media, data = _data_url(given, where, "a base64 data: URL")
    if media.startswith("image/"):
        return _picture(media, data, where)
    if media == "application/pdf":
        source = {"type": "base64", "media_type": media, "data": data}
    elif media == "text/plain":
        source = {"type": "text", "media_type": media, "data": _plain_text(data, where)}
    else:
        raise bad(where, "a PDF, plain text or a picture")
    document: Block = {"type": "document", "source": source}
    name = value.get("filename")
    if isinstance(name, str) and name:
        document["title"] = name
    return document


def _data_url(url: str, path: str, expected: str) -> tuple[str, str]:
    head, comma, data = url.partition(",")
    head = head.lower()
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        raise bad(path, expected)
    return head[5:-7].partition(";")[0].strip(), data


def _plain_text(data: str, path: str) -> str:
    try:
        return a2b_base64(data).decode()
    except (Base64Error, ValueError) as error:
        raise bad(path, "base64 of UTF-8 text") from error


# --- thinking that comes back -------------------------------------------------------------------


def thinking_blocks(message: Mapping[str, Any], path: str) -> list[Block]:
    """Return an assistant message's thinking, unmodified, from either known extension.

    `thinking_blocks` holds Anthropic's own blocks; `reasoning_details` holds what our replies say
    (`reasoning.text` with a signature, `reasoning.encrypted`). What has no signature is left out:
    Anthropic would refuse it.
    """
    given = message.get("thinking_blocks")
    if given is not None:
        return [item for item in _objects(given, f"{path}.thinking_blocks") if _is_native(item)]
    details = message.get("reasoning_details")
    if details is None:
        return []
    items = [
        item
        for item in _objects(details, f"{path}.reasoning_details")
        if str(item.get("format") or "anthropic").startswith("anthropic")
    ]
    return list(_from_details(_joined(items)))


def _objects(value: object, path: str) -> list[Block]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise bad(path, "a list of objects")
    return value


def _is_native(item: Block) -> bool:
    kind = item.get("type")
    return bool(
        (kind == "thinking" and item.get("signature"))
        or (kind == "redacted_thinking" and item.get("data"))
    )


def _joined(items: Sequence[Block]) -> list[Block]:
    """Put together again the fragments of one text that a client collected from a stream."""
    whole: list[Block] = []
    for item in items:
        last = whole[-1] if whole else {}
        if (
            item.get("type") == last.get("type") == "reasoning.text"
            and item.get("index") == last.get("index")
            and not last.get("signature")
        ):
            text = f"{last.get('text') or ''}{item.get('text') or ''}"
            whole[-1] = {**last, "text": text, "signature": item.get("signature")}
        else:
            whole.append(item)
    return whole


def _from_details(items: Sequence[Block]) -> Iterator[Block]:
    for item in items:
        kind = item.get("type")
        if kind == "reasoning.text" and item.get("signature"):
            text, signature = item.get("text") or "", item["signature"]
            yield {"type": "thinking", "thinking": text, "signature": signature}
        elif kind == "reasoning.encrypted" and item.get("data"):
            yield {"type": "redacted_thinking", "data": item["data"]}
        elif _is_native(item):
            yield item
