"""What requests cost at each tier."""

from collections.abc import Mapping

import pytest

from gateway.core.catalogue import Price
from gateway.core.tallies import Agreed
from gateway.stages.complexity_router.calibration.spending import count, dollars

PRICES = (Price(0.15, 0.60), Price(1.0, 5.0), Price(3.0, 15.0))


class Cells:
    """Tallies of one name, known at once."""

    def __init__(self) -> None:
        self.cells: dict[int, int] = {}

    def add(self, _name: str, cell: int, amount: int, /) -> None:
        assert amount > 0
        self.cells[cell] = self.cells.get(cell, 0) + amount

    def sums(self, _name: str, _enough: int, /) -> Mapping[int, int]:
        return self.cells

    def agreed(self, _name: str, /) -> Agreed:
        raise NotImplementedError

    def propose(self, _name: str, _setting: Agreed, /) -> None:
        raise NotImplementedError


def test_before_the_first_request_nobody_knows() -> None:
    assert dollars({}, PRICES) is None


def test_each_tier_goes_by_its_own_tokens_once_it_has_many() -> None:
    cells = Cells()
    for _ in range(10_000):
        count(cells, "auto/spent", 0, 100, 200)
        count(cells, "auto/spent", 2, 1_000, 2_000)
    found = dollars(cells.cells, PRICES)
    assert found is not None
    assert found[0] == pytest.approx((100 * 0.15 + 200 * 0.60) / 1e6, rel=0.02)
    assert found[2] == pytest.approx((1_000 * 3 + 2_000 * 15) / 1e6, rel=0.02)
    usual = (550 * 1.0 + 1_100 * 5.0) / 1e6
    assert found[1] == pytest.approx(usual), "a tier that had none goes by all tiers' tokens"


def test_a_single_long_answer_does_not_make_a_tier_dear() -> None:
    cells = Cells()
    for _ in range(1_000):
        count(cells, "auto/spent", 0, 100, 100)
    count(cells, "auto/spent", 1, 100, 10_000)
    found = dollars(cells.cells, PRICES)
    assert found is not None
    assert found[1] < (100 + 700 * 5.0) / 1e6


def test_an_answer_without_tokens_is_still_a_request() -> None:
    cells = Cells()
    count(cells, "auto/spent", 1, 0, 0)
    assert cells.cells == {3: 1}
    assert dollars(cells.cells, PRICES) == [0.0, 0.0, 0.0]
