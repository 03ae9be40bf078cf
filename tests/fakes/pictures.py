"""The beginnings of picture files, of any size in pixels."""

from base64 import b64encode


def data_url(file: bytes) -> str:
    return "data:image/x;base64," + b64encode(file).decode()


def png(width: int, height: int) -> bytes:
    sides = width.to_bytes(4) + height.to_bytes(4)
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + sides + b"\x08\x06\0\0\0"


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + width.to_bytes(2, "little") + height.to_bytes(2, "little") + bytes(20)


def jpeg(width: int, height: int, *, before: int = 70_000) -> bytes:
    """A JPEG whose size comes behind so many bytes of camera data."""
    sizes = [min(65_000, before - at) for at in range(0, before, 65_000)]
    camera = b"".join(b"\xff\xe1" + (size + 2).to_bytes(2) + bytes(size) for size in sizes)
    frame = b"\xff\xc2\0\x11\x08" + height.to_bytes(2) + width.to_bytes(2) + bytes(10)
    return b"\xff\xd8" + camera + b"\xff" + frame


def webp(kind: bytes, width: int, height: int) -> bytes:
    """A WebP: `VP8 ` (lossy), `VP8L` (lossless) or `VP8X` (extended)."""
    start = b"RIFF\0\0\0\0WEBP" + kind + bytes(4)
    if kind == b"VP8 ":
        sides = width.to_bytes(2, "little") + height.to_bytes(2, "little")
        return start + b"\0\0\0\x9d\x01\x2a" + sides + bytes(4)
    if kind == b"VP8L":
        return start + b"\x2f" + ((height - 1) << 14 | (width - 1)).to_bytes(4, "little") + bytes(8)
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return start + bytes(4) + sides + bytes(4)
