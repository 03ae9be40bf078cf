"""Questions that are compared with none."""

import pytest

from gateway.stages.semantic_cache.evidence import unfit
from gateway.stages.semantic_cache.evidence.facts import LONGEST

UNFIT = {
    "time_dependent": [
        "What is the weather in Oslo?",
        "What happened today?",
        "who is the current king of Spain",
        "What are the latest phones?",
        "What did they announce last week?",
        "What should I wear right now?",
        "How many days until Easter?",
    ],
    "script": ["什么是光合作用", "Что такое фотосинтез?", "What does 时尚达人和光合作用 mean?"],
    "language": [
        "Wie lange dauert die Fahrt von Berlin nach Hamburg?",
        "¿Cuál es la capital de Francia y cuántos habitantes tiene?",
    ],
    "code": [
        "Why does this fail?\n```\nx = 1\n```",
        "int main() {\n  return 0;\n}",
        "fix this\n    return x",
    ],
    "personal": ["What is my account balance?", "Where is our last order?"],
    "vague": ["", "And what about it?", "?!", "How do you do?"],
    "truncated": ["a word " * LONGEST],
}


@pytest.mark.parametrize(
    ("reason", "text"), [(reason, text) for reason, texts in UNFIT.items() for text in texts]
)
def test_it_is_not_compared(reason: str, text: str) -> None:
    assert unfit(text, truncated=False, languages=frozenset({"latin"})) == reason


@pytest.mark.parametrize(
    "text",
    [
        "What is the capital of France?",
        "How do I cook jalapeño poppers in São Paulo?",
        "Who wrote The Now Habit's foreword?".replace("Now", "New"),
        "How does one open an account at a bank?",
        "What does 光 mean in Japanese, and how is it read in names of people?",
    ],
)
def test_it_is_compared(text: str) -> None:
    assert unfit(text, truncated=False, languages=frozenset({"latin"})) == ""


def test_a_text_that_the_embedder_cut_is_not_compared() -> None:
    assert unfit("What is it called?", truncated=True, languages=frozenset()) == "truncated"


def test_an_embedder_of_all_languages_reads_other_scripts() -> None:
    assert unfit("什么是光合作用", truncated=False, languages=frozenset()) == ""
