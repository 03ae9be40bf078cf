"""What is read of files of outcomes, and what is refused, with its line."""

import pytest

from gateway.stages.complexity_router.audit.rows import Judged, Unreadable, read, tiers_of


def test_rows_with_tiers_are_read_and_the_others_left_out() -> None:
    lines = [
        b'{"source": "math", "prompt": "?", "tiers": {"mini": 1, "haiku": 0.5}}\n',
        b"\n",
        b'{"source": "mmlu", "pair": "mixtral|gpt-4", "weak": 0, "strong": 1}\n',
        b'{"source": "hard"}\n',
    ]
    assert read(lines) == [Judged("math", {"mini": 1.0, "haiku": 0.5})]


def test_without_tiers_pairs_are_read() -> None:
    lines = [
        b'{"pair": "mixtral|gpt-4", "weak": 0, "strong": 1}',
        b'{"pair": "mixtral|gpt-4", "weak": null, "strong": 1}',
        b'{"weak": 0, "strong": 1}',
    ]
    assert read(lines) == [Judged("", {"mixtral": 0.0, "gpt-4": 1.0})]


def test_tiers_stand_in_the_order_in_which_rows_name_them() -> None:
    judged = [Judged("", {"a": 1.0, "b": 1.0}), Judged("", {"b": 1.0, "c": 1.0})]
    assert tiers_of(judged) == ("a", "b", "c")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"{", "line 2: JSON of another shape"),
        (b'{"tiers": {"mini": 2}}', "line 2: JSON of another shape"),
        (b'{"tiers": {"mini": "good"}}', "line 2: JSON of another shape"),
        (b'{"pair": "mixtral", "weak": 0, "strong": 1}', "line 2: `pair` must be two names"),
        (b'{"pair": "a|a", "weak": 0, "strong": 1}', "line 2: `pair` must be two names"),
    ],
)
def test_what_is_no_row_is_refused_by_its_line(line: bytes, says: str) -> None:
    with pytest.raises(Unreadable, match=says.replace("|", r"\|")):
        read([b"{}", line])


def test_a_file_without_end_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.stages.complexity_router.audit.rows.MOST", 3)
    with pytest.raises(Unreadable, match="more than 3 lines"):
        read([b"{}"] * 4)
