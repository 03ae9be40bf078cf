"""Rows to learn from: a prompt, and how well a weaker and a stronger model did on it."""

from collections.abc import Sequence
from hashlib import sha256

from msgspec import Struct

from gateway.core import wire
from gateway.stages.complexity_router.features import Shape, asked_in, shape
from gateway.stages.complexity_router.ngrams import places_of
from gateway.stages.complexity_router.rules import rules_score

UNNAMED = "weak|strong"
"""The pair of rows that name none."""


class Row(Struct, frozen=True):
    """One prompt as a file has it. Fields that nobody here reads are passed over."""

    prompt: str
    source: str = ""
    pair: str | None = None
    """"weaker model|stronger model"."""
    weak: float | None = None
    """How well the weaker model did: 0 to 1, or null where nobody knows."""
    strong: float | None = None


class Example(Struct, frozen=True):
    """A row as it is learned from: its features, taken once."""

    row: Row
    shape: Shape
    places: list[int]
    """Of its wording."""
    rules: float
    weak: float
    strong: float
    """0, as `weak` is, where the row has no label."""

    @property
    def gain(self) -> float:
        """How much better the stronger model did."""
        return self.strong - self.weak

    @property
    def labelled(self) -> bool:
        """Whether somebody knows how both models did."""
        return self.row.weak is not None and self.row.strong is not None


def parse_row(line: bytes) -> Row:
    """Read one line. Raises ValueError with what is wrong with it."""
    row = wire.decode_as(line, Row)
    for name, value in (("weak", row.weak), ("strong", row.strong)):
        if value is not None and not 0 <= value <= 1:
            raise ValueError(f"`{name}` must be from 0 to 1, or null")
    return row


def example(row: Row) -> Example:
    """Return a row with its features."""
    looks = shape(asked_in(row.prompt))
    places = places_of(looks.tokens)
    return Example(row, looks, places, rules_score(looks), row.weak or 0.0, row.strong or 0.0)


def by_pair(examples: Sequence[Example]) -> dict[str, list[Example]]:
    """Return what is labelled, by its pair of models, in order."""
    found: dict[str, list[Example]] = {}
    for each in examples:
        if each.labelled:
            found.setdefault(each.row.pair or UNNAMED, []).append(each)
    return dict(sorted(found.items()))


def by_source(examples: Sequence[Example]) -> dict[str, list[Example]]:
    """Return everything by its source, in order."""
    found: dict[str, list[Example]] = {}
    for each in examples:
        found.setdefault(each.row.source, []).append(each)
    return dict(sorted(found.items()))


def digest(examples: Sequence[Example]) -> str:
    """Return a SHA-256 that tells whether two trainings had the same rows in the same order."""
    told = sha256()
    for each in examples:
        told.update(wire.encode(each.row) + b"\n")
    return told.hexdigest()
