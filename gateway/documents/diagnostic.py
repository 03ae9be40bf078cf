"""What is wrong in a file, and where."""

from collections.abc import Collection
from typing import Literal, TypeAlias

from msgspec import Struct

Key: TypeAlias = str | int
KeyPath: TypeAlias = tuple[Key, ...]
Severity = Literal["error", "warning"]


class Diagnostic(Struct, frozen=True, order=True):
    """One thing wrong in a file, at a line that counts from 1; line 0 is the file itself.

    An error keeps the file out of use; a warning is something that was hardly meant.
    """

    file: str
    line: int
    text: str
    severity: Severity = "error"

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        mark = "" if self.severity == "error" else f"{self.severity}: "
        return f"{where}: {mark}{self.text}"


class Invalid(Exception):
    """Documents that cannot be used. `problems` says all that is wrong, in reading order.

    Its text leaves out the warnings: they are not what keeps the documents out.
    """

    def __init__(self, problems: Collection[Diagnostic]) -> None:
        self.problems = tuple(sorted(set(problems)))
        errors = (problem for problem in self.problems if problem.severity == "error")
        super().__init__("\n".join(map(str, errors)))


def warnings_of(problems: Collection[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Return `problems` when all are warnings. Raises Invalid with all of them otherwise."""
    if any(problem.severity == "error" for problem in problems):
        raise Invalid(problems)
    return tuple(sorted(set(problems)))
