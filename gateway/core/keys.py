"""Issued keys as they are written and recognised: `tk-`, then 190 random bits."""

import hmac
from typing import Final

KIND: Final = "tk-"
"""What every issued key begins with."""
SHOWN: Final = 8
"""So many first characters of a key are kept, for people to recognise it by."""
NAME: Final = 12
"""So many hexadecimal digits of a key's digest are its id."""
_MARK: Final = b"turnout: which pepper is this?"


def digest_of(key: str, pepper: bytes) -> str:
    """Return what is kept of a key: HMAC-SHA256 with the pepper, hexadecimal."""
    return hmac.digest(pepper, key.encode("utf-8", "surrogateescape"), "sha256").hex()


def mark_of(secret: bytes) -> str:
    """Return 8 hex digits by which two secrets can be told apart, and nothing else."""
    return hmac.digest(secret, _MARK, "sha256").hex()[:8]
