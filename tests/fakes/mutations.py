"""Valid bytes made wrong in small ways, as a hypothesis strategy."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import strategies as st

Edit = tuple[int, int, bytes]
"""Where, how many bytes go, and what comes in their place."""


def mutated(
    valid: st.SearchStrategy[bytes], tokens: Sequence[bytes], most: int = 4
) -> st.SearchStrategy[bytes]:
    """Draw valid bytes with up to `most` edits of a few bytes or of a piece of the text."""
    piece = st.sampled_from([b"", *tokens]) | st.binary(max_size=3)
    edit = st.tuples(st.integers(0, 1 << 16), st.integers(0, 12), piece)
    return st.tuples(valid, st.lists(edit, max_size=most)).map(lambda drawn: _edited(*drawn))


def cut(data: bytes, borders: Sequence[int]) -> list[bytes]:
    """Return the bytes in pieces that begin at these places, counted round."""
    places = sorted({0, len(data), *(border % (len(data) + 1) for border in borders)})
    return [data[start:end] for start, end in pairwise(places)]


def _edited(data: bytes, edits: Sequence[Edit]) -> bytes:
    for at, gone, new in edits:
        place = at % (len(data) + 1)
        data = data[:place] + new + data[place + gone :]
    return data
