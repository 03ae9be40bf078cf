"""A problem reads like a compiler's: file, line, text."""

from gateway.documents import Diagnostic, Invalid


def test_a_diagnostic_reads_file_line_text() -> None:
    assert str(Diagnostic("a.yaml", 3, "is odd.")) == "a.yaml:3: is odd."
    assert str(Diagnostic("a.yaml", 0, "is odd.")) == "a.yaml: is odd."


def test_problems_come_once_and_in_reading_order() -> None:
    later, sooner = Diagnostic("a.yaml", 12, "x"), Diagnostic("a.yaml", 3, "y")
    error = Invalid([later, sooner, later])
    assert error.problems == (sooner, later)
    assert str(error) == "a.yaml:3: y\na.yaml:12: x"
