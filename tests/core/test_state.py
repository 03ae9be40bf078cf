"""Limits are written into stores, so they read back as they were."""

import pytest

from gateway.core import wire
from gateway.core.state import Budget, Limit, Rate, Slots


@pytest.mark.parametrize(
    "limit",
    [
        Rate("a", 3, 2 / 60, enforce=False),
        Budget("b", 1 << 50, 1_800_000_000.25),
        Slots("ü", 2),
    ],
)
def test_a_limit_reads_back_as_it_was_written(limit: Limit) -> None:
    read: Limit = wire.decoder(Limit).decode(wire.encode(limit))  # type: ignore[arg-type]  # a union
    assert read == limit
