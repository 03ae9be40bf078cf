"""Answers and selections as the scripts read and tell them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import wire
from gateway.core.answers import Selection
from gateway.state.answer_rows import unpack
from gateway.state.redis.answers_words import (
    OVERHEAD,
    About,
    changed,
    listed,
    putting,
    rows,
    selecting,
)
from gateway.state.redis.link import BYTES, Rejected
from tests.fakes.kept import NOW, answer


def test_an_answer_is_put_with_the_names_that_find_it() -> None:
    kept = answer(1, tags=("faq",), corpora=("wiki",), asked="my:model")
    name, about, row, limit = putting(kept, 99)
    assert (name, limit) == ("id-1", 99)
    assert isinstance(row, bytes)
    assert unpack(row) == kept
    assert isinstance(about, bytes)
    known = wire.decode_as(about, About)
    assert known.names[4:] == ("tag:faq", "corpus:wiki")
    assert known.kind == ("acme", "default", "my:model", "gpt-5")
    assert (known.size, known.stored) == (len(row) + OVERHEAD, NOW + 1)


def test_a_selection_names_what_it_asks_for() -> None:
    assert wire.decode(selecting(Selection())) == {"id": "", "names": [], "at": 0.0}
    which = Selection(tenant="acme", corpus="wiki", id="id-1")
    names = ["tenant:acme", "corpus:wiki"]
    assert wire.decode(selecting(which, 5.0)) == {"id": "id-1", "names": names, "at": 5.0}


@given(st.lists(st.none() | st.binary()))
def test_rows_of_any_bytes_are_told_apart(given: list[bytes | None]) -> None:
    told = b"".join(b"-1:" if row is None else b"%d:" % len(row) + row for row in given)
    assert list(rows(told.decode(errors=BYTES))) == given


@pytest.mark.parametrize("answer", ["", "x []", "5", "5 {}", "0 [[1]]"])
def test_a_list_that_makes_no_sense_is_rejected(answer: str) -> None:
    with pytest.raises(Rejected):
        listed(answer)


def test_changes_are_read_and_nonsense_is_rejected() -> None:
    news = changed('["life",7,3,[[6,"a",0],[7,"b",1]]]')
    assert (news.life, news.last, news.forgotten) == ("life", 7, 3)
    assert news.lines == ((6, "a", 0), (7, "b", 1))
    with pytest.raises(Rejected):
        changed("epoch")
