"""docs/robustness.md: every test that it names is there, and every number has one."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/robustness.md").read_text()
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
NUMBERS = [*(f"D{n:02}" for n in range(1, 19)), *(f"E{n:02}" for n in range(1, 14))]
NUMBERS += [*(f"C{n:02}" for n in range(1, 16)), "H04"]
ROWS = [line for line in TEXT.splitlines() if re.match(r"\| (?!-|no\.|case|whose)", line)]


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, functions))


def test_every_test_that_is_named_exists() -> None:
    named = TEST.findall(TEXT)
    assert len(named) > 100
    gone = [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / path).is_file() or name not in names_in(path)
    ]
    assert gone == []


def test_every_reference_is_written_so_that_it_is_checked() -> None:
    assert TEXT.count("::test_") == len(TEST.findall(TEXT))


@pytest.mark.parametrize("number", NUMBERS)
def test_every_number_of_the_catalogue_has_a_row_with_a_test(number: str) -> None:
    rows = [row for row in ROWS if row.startswith(f"| {number} |")]
    assert len(rows) == 1
    assert TEST.search(rows[0])


def test_every_row_names_a_test() -> None:
    assert [row for row in ROWS if not TEST.search(row)] == []


def test_every_journey_is_in_the_table() -> None:
    named = {name for _, name in TEST.findall(TEXT)}
    journeys = {
        name
        for path in (ROOT / "tests/journeys").glob("test_*.py")
        for name in names_in(str(path.relative_to(ROOT)))
        if name.startswith("test_")
    }
    assert journeys <= named, journeys - named
