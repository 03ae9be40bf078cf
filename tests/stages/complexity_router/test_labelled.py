"""Rows to learn from."""

import pytest

from gateway.stages.complexity_router.labelled import (
    UNNAMED,
    Row,
    by_pair,
    by_source,
    digest,
    example,
    parse_row,
)
from tests.stages.complexity_router.rows import examples


def test_a_row_is_read_and_what_nobody_needs_is_passed_over() -> None:
    line = b'{"id": "7", "prompt": "Why?", "weak": 1, "strong": null, "tiers": {"cheap": 1}}'
    assert parse_row(line) == Row("Why?", weak=1.0)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"{", "JSON"),
        (b"[]", "JSON of another shape"),
        (b'{"weak": 1}', "JSON of another shape"),
        (b'{"prompt": "a", "weak": "1"}', "JSON of another shape"),
        (b'{"prompt": "a", "strong": 1.5}', "`strong` must be from 0 to 1, or null"),
        (b'{"prompt": "a", "weak": -1}', "`weak` must be from 0 to 1, or null"),
    ],
)
def test_a_bad_row_is_refused_with_what_is_wrong(line: bytes, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_row(line)


def test_the_gain_is_how_much_better_the_stronger_model_did() -> None:
    assert example(Row("x", weak=0.25, strong=1.0)).gain == 0.75
    assert not example(Row("x", weak=0.25)).labelled


def test_rows_are_told_apart_by_pair_and_by_source() -> None:
    rows = [example(Row("x", "b", None, 0, 1)), example(Row("y", "a")), *examples(2)]
    assert {pair: len(each) for pair, each in by_pair(rows).items()} == {
        "small|large": 2,
        UNNAMED: 1,
    }
    assert list(by_source(rows)) == ["a", "b", "own"]


def test_a_digest_tells_other_rows_and_another_order() -> None:
    rows = examples(4)
    assert digest(rows) == digest(list(rows))
    assert len({digest(rows), digest(rows[:3]), digest(rows[::-1])}) == 3
