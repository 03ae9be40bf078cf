"""An answer as a row: a checksum, then the answer in MessagePack. What was altered is seen."""

from hashlib import blake2b
from typing import Final

import msgspec

from gateway.core.answers import Answer

_FORMAT: Final = b"answer1\n"
_DIGEST: Final = 16
_START: Final = len(_FORMAT) + _DIGEST
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Answer).decode


class Damaged(ValueError):
    """The row is not what was written, or was written by another version."""


def pack(answer: Answer) -> bytes:
    """Return the answer as a row."""
    body = _encode(answer)
    return _FORMAT + _sum(body) + body


def unpack(row: bytes) -> Answer:
    """Read a row. Raises Damaged when a single bit of it differs."""
    body = row[_START:]
    if row[:_START] != _FORMAT + _sum(body):
        raise Damaged("another checksum")
    try:
        return _decode(body)
    except msgspec.DecodeError as error:
        raise Damaged("not an answer of this version") from error


def _sum(body: bytes) -> bytes:
    return blake2b(body, digest_size=_DIGEST).digest()
