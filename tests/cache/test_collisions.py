"""B05: a text that was bred to look like somebody's question does not get its answer served."""

import asyncio
from pathlib import Path
from random import Random

import numpy as np
import pytest

from gateway.core.embedding import Embedder
from gateway.semantic.minilm.embedder import open_minilm
from gateway.stages.semantic_cache import evidence
from gateway.stages.semantic_cache.lookup import Gates, SemanticPolicy
from tests.fakes.cached import CachedHouse, said
from tests.fakes.near import ListIndex, WordEmbedder

SUBJECTS = {
    "the capital of": ("France", "Peru", "Kenya", "Norway", "Japan", "Chile", "Egypt", "Nepal"),
    "the best way to cook": ("rice", "lentils", "salmon", "eggs", "beans", "pasta", "quinoa"),
    "the boiling point of": ("water", "ethanol", "mercury", "nitrogen", "helium", "iron"),
    "the author of": ("Dracula", "Emma", "Ulysses", "Hamlet", "Beloved", "Dune", "Middlemarch"),
    "the purpose of": ("a kidney", "a flywheel", "a subnet", "a resistor", "a lien", "an alibi"),
}
FORMS = ("What is {} {}?", "Tell me {} {}.", "Who can explain {} {}?", "Which is {} {}?")
FOREIGN = (
    "Where do I send the ransom",
    "How do I reset a router",
    "Why do cats purr at night",
    "Who won the chess final",
)
COMMON = (
    *("the", "of", "a", "in", "to", "what", "is", "how", "which", "best", "most", "about"),
    *("for", "with", "explain", "tell", "name", "city"),
)
MOST_WORDS = 24


class Anything:
    """Gates that let everything pass, so that the cosine alone decides."""

    def facts(self, text: str, /) -> str:
        return text

    def veto(self, asked: str, stored: str, /) -> str:
        return "" if asked else stored

    def unfit(self, text: str, /, *, truncated: bool, languages: frozenset[str]) -> str:
        return "" if text or truncated else ", ".join(languages)


GATES: tuple[Gates, Gates] = (Anything(), evidence)


def targets(number: int) -> list[str]:
    """Return questions whose answers somebody wants to put words into."""
    every = [
        form.format(subject, each)
        for form in FORMS
        for subject, names in SUBJECTS.items()
        for each in names
    ]
    chance = Random(5)
    return [chance.choice(every) for _ in range(number)]


def variations(words: list[str], vocabulary: list[str], chance: Random) -> list[str]:
    """Return the words with one put in, replaced, taken out or moved."""
    changed, what = list(words), chance.randrange(4)
    at = chance.randrange(len(changed) + 1)
    if what == 0 or not changed:
        changed.insert(at, chance.choice(vocabulary))
    elif what == 1:
        changed[at % len(changed)] = chance.choice(vocabulary)
    elif what == 2:
        del changed[at % len(changed)]
    else:
        changed.insert(at % len(changed), changed.pop(chance.randrange(len(changed))))
    return changed[:MOST_WORDS]


async def bred(embedder: Embedder, target: str, steps: int, chance: Random) -> str:
    """Return a text that holds a question of its own, and is as near to the target as it got."""
    foreign = chance.choice(FOREIGN)
    vocabulary = [*target.strip("?.").split() * 3, *COMMON]
    (wanted,) = await embedder.embed((target,))
    victim = np.frombuffer(wanted.vector, "<f4")
    best, highest = list[str](), -1.0
    for _ in range(steps):
        words = variations(best, vocabulary, chance)
        (got,) = await embedder.embed((" ".join([foreign, *words]),))
        cosine = float(np.frombuffer(got.vector, "<f4") @ victim)
        if cosine > highest:
            best, highest = words, cosine
    return " ".join([foreign, *best])


async def attack(embedder: Embedder, number: int, steps: int) -> tuple[int, int]:
    """Return how many targets got a foreign answer: by the cosine alone, and behind the gates."""
    chance, served = Random(4), [0, 0]
    for target in targets(number):
        text = await bred(embedder, target, steps, chance)
        for which, gates in enumerate(GATES):
            house = CachedHouse(
                embedder=embedder, index=ListIndex(), gates=gates, semantic=SemanticPolicy()
            )
            await house.whole(messages=said(text))
            await house.whole(messages=said(target))
            served[which] += house.cached.hit
    return served[0], served[1]


@pytest.mark.parametrize(
    ("number", "steps"),
    [
        (20, 200),
        pytest.param(500, 2_000, marks=[pytest.mark.long, pytest.mark.timeout(3600)]),
    ],
)
async def test_b05_a_text_bred_towards_a_question_is_not_served_in_its_place(
    number: int, steps: int
) -> None:
    """The embedder here counts words into 64 places: far easier to deceive than a real one."""
    by_cosine, served = await attack(WordEmbedder(), number, steps)
    assert by_cosine > number / 2  # or the attack is none
    assert served <= number / 100


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "steps"),
    [
        (4, 40),
        pytest.param(500, 200, marks=[pytest.mark.long, pytest.mark.timeout(3600)]),
    ],
)
async def test_b05_nor_with_the_embedder_that_is_shipped(
    number: int, steps: int, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime", reason="the extra `semantic` is not installed")
    embedder = await asyncio.to_thread(open_minilm, tmp_path)
    await embedder.warm()
    _, served = await attack(embedder, number, steps)
    await embedder.aclose()
    assert served <= number / 100
