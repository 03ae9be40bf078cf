"""A refitted model takes over only when it is surely better on pairs that it did not see."""

from random import Random

import pytest

from gateway.stages.complexity_router.audit.promotion import promotion


def noisy(count: int, gain: float, seed: int = 3) -> tuple[list[float], list[float]]:
    chance = Random(seed)
    current = [chance.random() for _ in range(count)]
    return [value + gain + chance.uniform(-0.3, 0.3) for value in current], current


def test_99_new_pairs_are_not_looked_at_however_good_they_are() -> None:
    found = promotion([1.0] * 99, [0.0] * 99)
    assert not found.promoted
    assert found.reason == "99 new pairs, 100 are needed"
    assert promotion([1.0] * 100, [0.0] * 100).promoted


def test_a_real_gain_is_promoted_with_its_interval() -> None:
    found = promotion(*noisy(400, 0.05))
    assert found.promoted
    assert found.chance is not None
    assert found.chance < 0.05
    assert found.gain is not None
    assert 0 < found.gain.low < 0.05 < found.gain.high
    assert "below 0.05" in found.reason


@pytest.mark.parametrize("gain", [0.0, -0.05])
def test_no_gain_and_a_loss_stay_with_the_current_model(gain: float) -> None:
    found = promotion(*noisy(400, gain))
    assert not found.promoted
    assert "not below 0.05" in found.reason


def test_of_models_that_are_no_better_one_in_twenty_is_promoted() -> None:
    promoted = sum(promotion(*noisy(100, 0.0, seed)).promoted for seed in range(60))
    assert promoted <= 8


def test_the_same_model_is_never_promoted() -> None:
    assert not promotion([0.5] * 200, [0.5] * 200).promoted


def test_values_that_do_not_pair_up_are_refused() -> None:
    with pytest.raises(ValueError, match="longer"):
        promotion([1.0] * 100, [1.0] * 101)
