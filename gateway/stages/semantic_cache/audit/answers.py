"""What two answers say, and how alike they are."""

import re
from array import array
from collections.abc import Iterator, Sequence
from math import sqrt
from operator import mul
from typing import Any, Final
from unicodedata import normalize

from msgspec import Struct

from gateway.core import wire
from gateway.core.chat import Endpoint
from gateway.core.embedding import Embedder

LONGEST: Final = 8_000
"""Characters of an answer that are looked at."""
PIECE: Final = 700
"""Characters that are embedded at once: about 170 tokens, less than any embedder reads."""
ALIKE: Final = 0.75
"""From this cosine on two answers are taken to say the same: docs/caching.md has the figures."""
UNLIKE: Final = 0.5
"""Below it they are taken to say two things; between both nobody can tell by it."""
_WORD: Final = re.compile(r"[^\W_]+")
_FIGURE: Final = re.compile(r"\d+(?:[.,]\d+)*")
_BREAK: Final = re.compile(r"\n+|(?<=[.!?]) +")
SHORT: Final = 300
"""Characters of an answer whose figures are what it says; longer ones mention many."""


class Likeness(Struct, frozen=True):
    """How alike two answers are. `cosine` is 1 for those that are the same in normal form."""

    cosine: float
    equal: bool = False
    figures: bool = True
    """Whether short answers name the same figures, or one no others than the other."""

    @property
    def same(self) -> bool | None:
        """Whether they are taken to say the same; None where that is not clear."""
        if self.equal:
            return True
        if not self.figures or self.cosine < UNLIKE:
            return False
        return True if self.cosine >= ALIKE else None


def text_of(body: bytes, endpoint: Endpoint) -> str:
    """Return what a whole answer says; empty for one that says nothing."""
    try:
        whole = wire.decode(body)
        if endpoint == "messages":
            said = whole["content"]
        else:
            choice = whole["choices"][0]
            said = choice["text"] if endpoint == "completions" else choice["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError):
        return ""
    return _flat(said)[:LONGEST].strip()


def _flat(said: Any) -> str:  # noqa: ANN401 - whatever a provider said
    if isinstance(said, str):
        return said
    parts = said if isinstance(said, list) else ()
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))


async def likeness(one: str, other: str, embedder: Embedder) -> Likeness:
    """Compare two answers. Raises EmbedderUnavailable."""
    if _even(one) == _even(other):
        return Likeness(1.0, equal=True)
    pieces = [list(_pieces(text)) for text in (one, other)]
    vectors = [each.vector for each in await embedder.embed([*pieces[0], *pieces[1]])]
    here = _mean(pieces[0], vectors[: len(pieces[0])])
    there = _mean(pieces[1], vectors[len(pieces[0]) :])
    return Likeness(sum(map(mul, here, there)), figures=_figures_agree(one, other))


def _even(text: str) -> str:
    """Return the words alone, in one form."""
    return " ".join(_WORD.findall(normalize("NFKC", text).casefold()))


def _figures_agree(one: str, other: str) -> bool:
    if max(len(one), len(other)) > SHORT:
        return True
    here, there = ({*_FIGURE.findall(text.replace(",", ""))} for text in (one, other))
    return here <= there or there <= here


def _pieces(text: str) -> Iterator[str]:
    """Yield a text in pieces that can be embedded, cut where sentences end if they do."""
    piece = ""
    for part in _BREAK.split(text):
        if piece and len(piece) + len(part) >= PIECE:
            yield piece
            piece = ""
        piece = f"{piece} {part}".strip()
        while len(piece) > PIECE:
            yield piece[:PIECE]
            piece = piece[PIECE:]
    if piece:
        yield piece


def _mean(pieces: Sequence[str], vectors: Sequence[bytes]) -> Sequence[float]:
    """Return where a text as a whole points to: each piece counts by its length."""
    weighted = zip(pieces, (array("f", vector) for vector in vectors), strict=True)
    scaled = [[len(piece) * each for each in vector] for piece, vector in weighted]
    sums = [sum(each) for each in zip(*scaled, strict=True)]
    norm = sqrt(sum(map(mul, sums, sums))) or 1.0
    return [each / norm for each in sums]
