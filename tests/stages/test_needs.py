"""What a condition needs of a model."""

import pytest

from gateway.core.catalogue import Model
from gateway.stages.needs import needs
from gateway.stages.when import Range, When

ABLE = Model(provider="p", capabilities=frozenset({"tools", "vision"}), context=9_000)
PLAIN = Model(provider="p", context=1_000, endpoints=("embeddings",), capabilities=frozenset())


@pytest.mark.parametrize(
    ("when", "field", "need"),
    [
        (When(tools=True), "tools", "take tools"),
        (When(image=True), "image", "see pictures"),
        (When(tokens=Range(above=5_000)), "tokens", "hold more than 5000 tokens"),
        (When(endpoint=("count_tokens", "messages")), "endpoint", "serve chat"),
    ],
)
def test_each_condition_names_the_ability_that_it_takes(when: When, field: str, need: str) -> None:
    ((at, words, able),) = needs(when)
    assert (at, words) == (field, need)
    assert able(ABLE)
    assert not able(PLAIN)


def test_what_asks_for_nothing_needs_nothing() -> None:
    assert list(needs(When(tools=False, image=False, tokens=Range(below=5), tenant="a"))) == []


def test_a_context_window_that_is_not_known_is_not_doubted() -> None:
    ((_, _, able),) = needs(When(tokens=Range(above=5_000)))
    assert able(Model(provider="p"))
