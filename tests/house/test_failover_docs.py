"""docs/failover.md: every number of the catalogue has a row, and every test it names is there."""

import re
from pathlib import Path

from tests.house.test_robustness import TEST, names_in

TEXT = (Path(__file__).parents[2] / "docs/failover.md").read_text()


def test_every_number_has_a_row_with_a_test() -> None:
    rows = {row.split(" ")[1]: row for row in TEXT.splitlines() if re.match(r"\| [FP]\d", row)}
    assert [*rows] == [*(f"F{number:02}" for number in range(1, 15)), "P4"]
    assert not [row for row in rows.values() if not TEST.search(row)]


def test_every_test_that_is_named_exists() -> None:
    gone = [f"{path}::{name}" for path, name in TEST.findall(TEXT) if name not in names_in(path)]
    assert gone == []
