"""The wording of a request: its words and pairs of words, hashed into a fixed number of places."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final
from zlib import crc32

PLACES: Final = 8192
"""A power of two. More told a little more (MMLU +0.003 APGR at 16,384) and cost twice the file."""


def places_of(tokens: Sequence[str]) -> list[int]:
    """Return the places of what a text says, each once, in order. A figure is any figure."""
    words = ["0" if token[0].isdigit() else token for token in tokens]
    pairs = [f"{one} {other}" for one, other in pairwise(words)]
    said = "\n".join({*words, *pairs}).encode("utf-8", "replace").split(b"\n") if words else []
    return sorted({crc32(each) % PLACES for each in said})
