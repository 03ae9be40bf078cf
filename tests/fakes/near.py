"""An embedder, an index and gates small enough to see through."""

import re
from array import array
from collections.abc import Mapping, Sequence

from gateway.core.embedding import Embedded, EmbedderUnavailable, Near
from tests.fakes.clock import FakeClock

WORDS = re.compile(r"\w+")
SIZE = 64


class WordEmbedder:
    """Texts of the same words look alike; figures do not count."""

    fingerprint = "words/1"
    dimensions = SIZE
    languages: frozenset[str] = frozenset({"latin"})

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.broken = False
        self.truncated = False
        self.clock: FakeClock | None = None
        """With one it takes two seconds."""

    async def embed(self, texts: Sequence[str], /) -> Sequence[Embedded]:
        self.texts += texts
        if self.clock is not None:
            await self.clock.sleep(2.0)
        if self.broken:
            raise EmbedderUnavailable("it is broken")
        return [Embedded(vector_of(text), len(text) // 4, self.truncated) for text in texts]

    async def warm(self) -> None: ...

    async def aclose(self) -> None: ...


def vector_of(text: str) -> bytes:
    numbers = [0.0] * SIZE
    for word in WORDS.findall(text.lower()):
        if not word.isdigit():
            numbers[sum(map(ord, word)) % SIZE] += 1.0
    length = sum(each * each for each in numbers) ** 0.5 or 1.0
    return array("f", [each / length for each in numbers]).tobytes()


class ListIndex:
    """Looks at every vector of the scope; remembers what was asked."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[str, bytes]] = {}
        self.added: list[str] = []
        self.searched: list[str] = []
        self.broken = False

    def add(self, scope: str, name: str, vector: bytes, owner: str, /) -> bool:
        self.held[name] = (scope, vector)
        self.added.append(name)
        return True

    def remove(self, name: str, /) -> None:
        self.held.pop(name, None)

    def clear(self) -> None:
        self.held.clear()

    async def search(self, scope: str, vector: bytes, most: int, /) -> Sequence[Near]:
        self.searched.append(scope)
        if self.broken:
            raise ValueError("it is broken")
        found = [
            Near(name, cosine(vector, other))
            for name, (where, other) in self.held.items()
            if where == scope
        ]
        return sorted(found, key=lambda near: -near.cosine)[:most]


def cosine(one: bytes, other: bytes) -> float:
    pairs = zip(array("f", one), array("f", other), strict=True)
    return sum(a * b for a, b in pairs)


class FigureGates:
    """The same figures, and no question of today."""

    def __init__(self) -> None:
        self.parsed: list[str] = []

    def facts(self, text: str, /) -> Mapping[str, int]:
        self.parsed.append(text)
        return {"figures": sum(map(int, re.findall(r"\d+", text)))}

    def veto(self, asked: Mapping[str, int], stored: Mapping[str, int], /) -> str:
        return "" if asked == stored else "number"

    def unfit(self, text: str, /, *, truncated: bool, languages: frozenset[str]) -> str:
        return "time_dependent" if "today" in text else ""
