"""Tables for people."""

from gateway.commands.columns import lines_of


def test_columns_are_as_wide_as_their_widest_cell_and_lines_end_without_blanks() -> None:
    assert lines_of([("A", "LONG HEAD", "C"), ("wide one", "b", "")]) == [
        "A         LONG HEAD  C",
        "wide one  b",
    ]
