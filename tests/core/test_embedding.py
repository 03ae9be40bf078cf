"""A text as a vector."""

import pytest

from gateway.core.embedding import Embedded, Near


def test_a_vector_stands_for_the_whole_text_unless_it_says_otherwise() -> None:
    assert not Embedded(b"\0" * 4, tokens=3).truncated


def test_what_was_found_cannot_be_changed() -> None:
    near = Near("answer", 0.97)
    with pytest.raises(AttributeError):
        near.cosine = 1.0  # type: ignore[misc]  # the test itself
