"""How long counts are kept."""

from gateway.core.tallies import KEPT, OVER, PART


def test_counts_are_kept_for_a_week_and_nothing_is_dropped_that_can_be_asked_for() -> None:
    assert KEPT * PART == 7 * 86_400
    assert OVER > KEPT * PART
