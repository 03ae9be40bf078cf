"""How many input tokens a picture counts, by what the first bytes of its file say of its size.

OpenAI, "Images and vision", calculating costs: 85 tokens in low detail; otherwise it is scaled to
fit 2048 x 2048, then to 768 pixels on its shorter side, and counts 85 + 170 for each tile of 512
pixels. Some small and newer models count otherwise. Anthropic, "Vision", calculate image costs:
width x height / 750, scaled to 1568 pixels on its longer side and about 1,600 tokens at most.
"""

from binascii import a2b_base64
from collections.abc import Mapping
from math import ceil
from typing import Any, Final

Size = tuple[int, int]
"""Width and height in pixels."""

LOW: Final = 85
OPENAI_MOST: Final = 1445
"""Of 2048 x 768 pixels: 8 tiles."""
ANTHROPIC_MOST: Final = 1600
_TILE: Final = 170
_TILE_SIDE: Final = 512
_FITS: Final = 2048
_SHORTER_SIDE: Final = 768
_LONGER_SIDE: Final = 1568
_PIXELS_PER_TOKEN: Final = 750
_MARK: Final = ";base64,"
_MARK_WITHIN: Final = 128
_HEAD: Final = 32
_SEGMENTS: Final = 64
"""Parts of a JPEG file that are looked at; its size comes after camera data and colour tables."""
_SEGMENT: Final = 9
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_FILL: Final = 0xFF
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG's markers of segments that say the size."""
_14_BITS: Final = 0x3FFF


def picture_tokens(part: Mapping[str, Any]) -> int:
    """Return the tokens of a picture in either dialect, each as its provider counts them.

    Where the size cannot be known, as that of an address, it is the most that a picture counts.
    """
    source = part.get("source")
    if isinstance(source, dict):
        size = size_of(source.get("data"), 0)
        return ANTHROPIC_MOST if size is None else _anthropic(*size)
    image = part.get("image_url")
    url, detail = image, part.get("detail")
    if isinstance(image, dict):
        url, detail = image.get("url"), image.get("detail")
    if detail == "low":
        return LOW
    start = url.find(_MARK, 0, _MARK_WITHIN) if isinstance(url, str) else -1
    size = size_of(url, start + len(_MARK)) if start >= 0 else None
    return OPENAI_MOST if size is None else _openai(*size)


def size_of(text: object, start: int) -> Size | None:
    """Return the size of a PNG, JPEG, GIF or WebP file whose base64 begins at `start` in a text.

    None for what is no such file. Only what says the size is decoded.
    """
    if not isinstance(text, str):
        return None
    try:
        head = _peek(text, start, 0, _HEAD)
        size = _jpeg(text, start) if head.startswith(b"\xff\xd8") else _size_in(head)
    except ValueError:
        return None
    return size if size is not None and min(size) > 0 else None


def _openai(width: int, height: int) -> int:
    scale = min(1.0, _FITS / max(width, height))
    scale = min(scale, _SHORTER_SIDE / min(width, height))
    across, down = (max(1, ceil(side * scale / _TILE_SIDE)) for side in (width, height))
    return LOW + _TILE * across * down


def _anthropic(width: int, height: int) -> int:
    scale = min(1.0, _LONGER_SIDE / max(width, height))
    return min(ANTHROPIC_MOST, ceil(width * height * scale * scale / _PIXELS_PER_TOKEN))


def _peek(text: str, start: int, offset: int, count: int) -> bytes:
    """Return so many bytes of a file from its base64. Raises ValueError when it is none."""
    first, last = offset // 3, -(-(offset + count) // 3)
    decoded = a2b_base64(text[start + first * 4 : start + last * 4])
    return decoded[offset - first * 3 :][:count]


def _size_in(head: bytes) -> Size | None:
    if head.startswith(_PNG):
        return int.from_bytes(head[16:20]), int.from_bytes(head[20:24])
    if head.startswith((b"GIF87a", b"GIF89a")):
        return _little(head[6:8]), _little(head[8:10])
    if head[:4] != b"RIFF" or head[8:12] != b"WEBP":
        return None
    match head[12:16]:
        case b"VP8 ":
            return _little(head[26:28]) & _14_BITS, _little(head[28:30]) & _14_BITS
        case b"VP8L":
            bits = _little(head[21:25])
            return (bits & _14_BITS) + 1, (bits >> 14 & _14_BITS) + 1
        case b"VP8X":
            return _little(head[24:27]) + 1, _little(head[27:30]) + 1
        case _:
            return None


def _jpeg(text: str, start: int) -> Size | None:
    offset = 2
    for _ in range(_SEGMENTS):
        segment = _peek(text, start, offset, _SEGMENT)
        if len(segment) < _SEGMENT or segment[0] != _FILL:
            return None
        if segment[1] == _FILL:
            offset += 1
        elif segment[1] in _FRAMES:
            return int.from_bytes(segment[7:9]), int.from_bytes(segment[5:7])
        else:
            offset += 2 + int.from_bytes(segment[2:4])
    return None


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")
