"""Which answers a selection means, and what they are said to weigh."""

from typing import Any

import pytest

from gateway.core.answers import Selection
from tests.fakes.kept import answer


@pytest.mark.parametrize(
    "named",
    [
        {},
        {"tenant": "acme"},
        {"policy": "default", "asked": "gpt", "model": "gpt-5"},
        {"tag": "faq"},
        {"corpus": "wiki", "id": "id-1"},
    ],
)
def test_an_answer_fits_when_every_named_field_does(named: dict[str, Any]) -> None:
    assert Selection(**named).fits(answer(1, tags=("news", "faq"), corpora=("wiki",)))


@pytest.mark.parametrize("field", ["tenant", "policy", "asked", "model", "tag", "corpus", "id"])
def test_one_field_that_differs_is_enough_not_to_fit(field: str) -> None:
    kept = answer(1, tags=("faq",), corpora=("wiki",))
    everything: dict[str, Any] = {"tenant": "acme", "policy": "default", "asked": "gpt"}
    everything |= {"model": "gpt-5", "tag": "faq", "corpus": "wiki", "id": "id-1"}
    assert Selection(**everything).fits(kept)
    assert not Selection(**{**everything, field: "other"}).fits(kept)


def test_a_text_of_wide_letters_weighs_what_it_takes_in_memory() -> None:
    narrow, wide = answer(1, question="a" * 1000), answer(1, question="\u4e16" * 1000)
    assert wide.size - narrow.size == pytest.approx(1000, abs=50)
    assert answer(1, body=b"x" * 5000).size - answer(1, body=b"").size == 5000
