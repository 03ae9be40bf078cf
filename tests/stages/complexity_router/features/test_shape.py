"""The features: finite for anything, and of what they are named after."""

from hashlib import sha256
from math import isfinite, log1p

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.stages.complexity_router.features import NAMES, Asked, Shape, asked_in, shape


def of(text: str) -> dict[str, float]:
    return dict(zip(NAMES, shape(asked_in(text)).values, strict=True))


def test_every_feature_has_a_name_of_its_own() -> None:
    assert len(set(NAMES)) == len(NAMES) == len(shape(asked_in("x")).values)
    assert 50 <= len(NAMES) <= 70


@given(st.text(st.characters(), max_size=4000))
@example("")
@example("\x00\x1b\u2028\ud800")
@example("中" * 1_000_000)
@example("<system-reminder>" * 60_000)
@example("9" * 1_000_000)
@example("_" * 5000 + "\n" * 5000)
@example("a.\n" * 400_000)
def test_any_text_has_finite_features(text: str) -> None:
    found = shape(asked_in(text))
    assert len(found.values) == len(NAMES)
    assert all(map(isfinite, found.values))


def test_code_maths_options_and_demands_are_told_apart() -> None:
    code = of("Write a python function:\n```\ndef f(a):\n    return a[0];\n```")
    maths = of(r"Prove that $\frac{a}{b} = x^2 + 3$ for every integer x.")
    choice = of("Which of the following is an acid?\nA. NaCl\nB. HCl\nC. Fe\nD. 12\nAnswer:")
    demand = of("You must use exactly 3 bullet points, in JSON format.")
    assert code["code words"] > 0 < code["languages"]
    assert code["indented lines"] == log1p(1)
    assert maths["backslashes"] == log1p(1)
    assert maths["operators"] > 0 < maths["maths words"]
    assert (choice["options"], choice["which of these"]) == (4, 1)
    assert choice["options of numbers"] == 0.25
    assert demand["demands"] > 0 < demand["formats"]
    for other in (maths, choice, demand):
        assert other["indented lines"] == other["languages"] == 0


def test_the_features_mean_what_they_meant_when_artefacts_were_trained() -> None:
    """Change one, and its name or the artefact's format must change too."""
    texts = (
        "Which of the following is an acid?\nA. NaCl\nB. HCl 3.5\nC. - 12\nAnswer:",
        "First, write a python class:\n  def f(a): return {a: 1}\n- it must not __ fail!",
        "How many $ are 20% of 1,000 euros? He said “none”, or `x^2`; prove it.",
    )
    values = [round(value, 6) for text in texts for value in shape(asked_in(text)).values]
    assert sha256(repr(values).encode()).hexdigest()[:16] == "4bb35656f4c33f64"


def test_a_prompt_in_capitals_is_the_same_task() -> None:
    text = "Which of the following is right?\na. Write a Python loop\nb. Prove 3.5 + x = 7"
    assert shape(asked_in(text)).values == shape(asked_in(text.upper())).values


def test_what_is_asked_around_the_text_counts_too() -> None:
    small = dict(zip(NAMES, shape(Asked("x", 1)).values, strict=True))
    large = dict(zip(NAMES, shape(Asked("x", 10**9, 40, 12, 90_000)).values, strict=True))
    assert {name for name in NAMES if small[name] != large[name]} == {
        "characters", "turns", "tools", "system prompt",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("What is the capital of Peru?", True),
        ("Où est la bibliothèque? Größe, żółw", True),
        ("12 + 30 = ?", True),
        ("", True),
        ("🙂🙂", True),
        ("Qual é o valor de β e π?", True),
        ("証明してください", False),
        ("Как доказать теорему?", False),
        ("ما هي عاصمة فرنسا؟", False),
    ],
)
def test_letters_of_another_script_are_noticed(text: str, known: bool) -> None:
    assert shape(asked_in(text)).known_script is known


def test_wording_is_told_by_words_numbers_and_signs_in_their_order() -> None:
    found: Shape = shape(asked_in("Add 1,000 to x_1!"))
    assert found.tokens == ("add", "1,000", "to", "x", "_", "1", "!")
