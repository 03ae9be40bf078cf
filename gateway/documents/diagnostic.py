"""What is wrong in a file, and where."""

from collections.abc import Collection
from typing import TypeAlias

from msgspec import Struct

Key: TypeAlias = str | int
KeyPath: TypeAlias = tuple[Key, ...]


class Diagnostic(Struct, frozen=True, order=True):
    """One thing wrong in a file, at a line that counts from 1; line 0 is the file itself."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.text}"


class Invalid(Exception):
    """Documents that cannot be used. `problems` says all that is wrong, in reading order."""

    def __init__(self, problems: Collection[Diagnostic]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))
