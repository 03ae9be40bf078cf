"""Rows of our own: a hard kind of prompt where the stronger model helps, and an easy one."""

import random

from gateway.stages.complexity_router.labelled import Example, Row, example

HARD = (
    "Prove that the polynomial of degree {0} has a root modulo {1}, and implement it in python{2}."
)
EASY = "Who was the king of the country number {0} in the year {1}{2}?"
_DETAILS = "with many of those small green birds that nobody has seen near our old house"


def made(count: int, seed: int = 1, pair: str | None = "small|large") -> list[Row]:
    """Half of each kind. On hard ones the larger model is mostly right and the small one is not."""
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        hard = bool(number % 2)
        details = " ".join(["", *chance.sample(_DETAILS.split(), chance.randrange(12))])
        numbers = chance.randrange(900), chance.randrange(900)
        prompt = (HARD if hard else EASY).format(*numbers, details)
        weak = float(chance.random() < (0.2 if hard else 0.8))
        strong = float(chance.random() < (0.9 if hard else 0.8))
        rows.append(Row(prompt, "own", pair, weak, strong))
    return rows


def examples(count: int, seed: int = 1, pair: str | None = "small|large") -> list[Example]:
    return [example(row) for row in made(count, seed, pair)]
