"""The quantised graph stays near the exact model. Cosines of float32 arithmetic are recorded."""

import numpy as np
import pytest

from gateway.semantic.minilm.engine import MiniLMEngine

# Two texts, and the cosine of their vectors in float32.
PAIRS = [
    ("How do I reset my password?", "What do I do to change a forgotten password?", 0.8380),
    ("How do I reset my password?", "What is the tallest mountain in Africa?", 0.0708),
    ("The meeting was moved to Thursday.", "The meeting was moved to Friday.", 0.9347),
    ("Convert 20 miles to kilometres", "Convert 30 miles to kilometres", 0.8364),
    ("Is it safe to eat raw eggs?", "Is it unsafe to eat raw eggs?", 0.9881),
    ("A dog chases a cat through the garden.", "A cat chases a dog through the garden.", 0.9737),
    (
        "Which planet has the most moons?",
        "What planet in the solar system is orbited by the largest number of moons?",
        0.8698,
    ),
    (
        "Explain how a bicycle stays upright while it is being ridden slowly along a narrow path.",
        "Why does a bike not fall over at low speed?",
        0.5914,
    ),
    ("def add(a, b): return a + b", "Write a Python function that adds two numbers", 0.7049),
    ("x", "The quick brown fox jumps over the lazy dog.", 0.1081),
]
FIRST = [0.0069, -0.0630, -0.0720, -0.0325, -0.0427, 0.0704, 0.0091, 0.0154]
"""The first figures of the float32 vector of the first text above."""


@pytest.mark.parametrize(("first", "second", "exact"), PAIRS)
def test_cosines_are_those_of_the_exact_model_within_two_hundredths(
    engine: MiniLMEngine, first: str, second: str, exact: float
) -> None:
    a, b = (np.frombuffer(each.vector, "<f4") for each in engine([first, second]))
    assert float(a @ b) == pytest.approx(exact, abs=0.02)


def test_a_vector_points_where_the_exact_one_does(engine: MiniLMEngine) -> None:
    (embedded,) = engine([PAIRS[0][0]])
    assert np.frombuffer(embedded.vector, "<f4")[:8] == pytest.approx(FIRST, abs=0.01)


def test_neighbours_in_a_batch_do_not_move_a_vector(engine: MiniLMEngine) -> None:
    text, loud = "What is the capital of France?", "!!! ??? $$$ zzz qqq"
    (alone,) = engine([text])
    together = engine([loud, text, loud * 30, "What is the capital of Spain?"])[1]
    a, b = (np.frombuffer(each.vector, "<f4") for each in (alone, together))
    assert float(a @ b) > 0.999999
