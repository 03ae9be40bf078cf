"""What answers say, and how alike two of them are."""

import json
from typing import Any

import pytest

from gateway.core.chat import Endpoint
from gateway.stages.semantic_cache.audit.answers import (
    ALIKE,
    LONGEST,
    PIECE,
    UNLIKE,
    Likeness,
    likeness,
    text_of,
)
from tests.fakes.near import WordEmbedder


@pytest.mark.parametrize(
    ("endpoint", "body", "text"),
    [
        ("chat", {"choices": [{"message": {"content": " Paris. "}}]}, "Paris."),
        ("chat", {"choices": [{"message": {"content": [{"type": "text", "text": "a"}]}}]}, "a"),
        ("completions", {"choices": [{"text": "Paris."}]}, "Paris."),
        (
            "messages",
            {
                "content": [
                    {"type": "thinking", "thinking": "x"},
                    {"type": "text", "text": "Paris."},
                ]
            },
            "Paris.",
        ),
        ("chat", {"choices": []}, ""),
        ("chat", {"choices": [{"message": {"content": None}}]}, ""),
        ("messages", {"choices": 3}, ""),
        ("chat", [], ""),
    ],
)
def test_what_an_answer_says_is_found_in_each_dialect(
    endpoint: Endpoint, body: Any, text: str
) -> None:
    assert text_of(json.dumps(body).encode(), endpoint) == text


def test_a_long_answer_is_looked_at_in_part_and_garbage_says_nothing() -> None:
    body = {"choices": [{"text": "a" * 2 * LONGEST}]}
    assert len(text_of(json.dumps(body).encode(), "completions")) == LONGEST
    assert text_of(b"\xff", "chat") == ""


async def test_answers_of_the_same_words_are_equal_and_nothing_is_embedded() -> None:
    embedder = WordEmbedder()
    found = await likeness("**Paris** is it!", "paris  is it", embedder)
    assert found == Likeness(1.0, equal=True)
    assert embedder.texts == []


async def test_others_are_as_alike_as_their_vectors() -> None:
    found = await likeness("red green blue", "blue green red yellow", WordEmbedder())
    assert found.cosine == pytest.approx(3 / 12**0.5, abs=0.01)
    assert not found.equal


async def test_a_long_answer_is_embedded_in_pieces_that_end_with_sentences() -> None:
    embedder = WordEmbedder()
    long = " ".join(f"Sentence number {n} tells a little." for n in range(60))
    found = await likeness(long, long + " More.", embedder)
    assert found.cosine > 0.99
    assert max(map(len, embedder.texts)) <= PIECE
    assert all(text.endswith(".") for text in embedder.texts)
    await likeness("x" * 3 * PIECE, "y", embedder)
    assert max(map(len, embedder.texts)) <= PIECE


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [
        ("It took 14 days.", "It took 30 days.", False),
        ("It costs 1,000 euros.", "It costs 1000 euros, plus 5 for the stamp.", True),
        ("It took two weeks.", "It took 14 days.", True),
        ("It took 14 days. " + "x" * 300, "It took 30 days.", True),
    ],
)
async def test_short_answers_with_other_figures_are_two(one: str, other: str, agree: bool) -> None:
    assert (await likeness(one, other, WordEmbedder())).figures is agree


def test_between_alike_and_unlike_nobody_can_tell() -> None:
    assert Likeness(0.1, equal=True).same is True
    assert Likeness(ALIKE).same is True
    assert Likeness(ALIKE - 0.01).same is None
    assert Likeness(UNLIKE).same is None
    assert Likeness(UNLIKE - 0.01).same is False
    assert Likeness(0.99, figures=False).same is False
