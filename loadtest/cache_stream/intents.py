"""What people want to know, and how they ask."""

import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from gateway.core import wire

OWN: Final = Path(__file__).with_name("intents.txt")


class Intent(Struct, frozen=True):
    """One thing to know: answers that all tell it, and questions that all ask for it."""

    number: int
    answers: Sequence[str]
    questions: Sequence[str]


def read_intents(path: Path = OWN) -> Sequence[Intent]:
    """Return the intents of a text in the form of `intents.txt`."""
    return list(_intents(path.read_text(encoding="utf-8")))


def _intents(text: str) -> Iterator[Intent]:
    for number, block in enumerate(text.split("\n= ")[1:]):
        answers, *questions = (line.strip() for line in block.splitlines() if line.strip())
        yield Intent(number, answers.split(" | "), questions)


def read_pairs(path: Path) -> Sequence[Intent]:
    """Return intents of labelled pairs, JSON Lines as `turnout cache eval` takes them.

    A pair with one meaning is one intent; one with two meanings is two.
    """
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
        pairs: list[dict[str, Any]] = [wire.decode(line) for line in lines if line.strip()]
    seen: set[str] = set()
    found: list[Intent] = []
    for pair in pairs:
        asked = [pair["a"], pair["b"]]
        if seen.intersection(asked):
            continue  # what it means beside the other pair is not labelled
        seen.update(asked)
        for questions in [asked] if pair["y"] else [asked[:1], asked[1:]]:
            told = f"Answer {len(found)}: {questions[0]}"
            found.append(Intent(len(found), [told], questions))
    return found
