"""The runs of docs/routing-calibration.md keep what they promise."""

import json
from pathlib import Path
from random import Random

import pytest

from loadtest.calibration import drift, shares, tiers
from loadtest.calibration.score import by_length
from loadtest.failover.plot import svg


async def test_a_drift_alarms_and_the_share_returns_by_two_points_an_hour() -> None:
    found = await drift.run(drift.at_once)
    assert 0.018 < found.fastest <= 0.02 + 1e-9
    assert [over for _, over in found.alarms] == [False, False, True, True]
    assert drift.STEP_AT < found.alarms[0][0] < drift.STEP_AT + 2
    assert found.calibrated[-1] == pytest.approx(0.3, abs=0.04)
    assert found.fixed[-1] > 0.5
    lines, panels = await drift.report()
    assert "no alarm" in lines[-2], "what changes slowly is followed in time"
    assert svg(panels).count("<g ") == 2


def rows(folder: Path, sources: dict[str, int]) -> Path:
    chance, path = Random(1), folder / "rows.jsonl"
    with path.open("w") as file:
        for source, count in sources.items():
            for _ in range(count):
                prompt = "x" * int(10 + chance.expovariate(1 / 300))
                file.write(json.dumps({"source": source, "prompt": prompt, "weak": 1}) + "\n")
    return path


def test_200_prompts_without_labels_are_enough_for_a_share(tmp_path: Path) -> None:
    prompts = shares.read(rows(tmp_path, {"large": 1_000, "equal": 400, "small": 399}))
    assert set(prompts) == {"large", "equal"}
    found = [
        shares.measure("large", prompts["large"], by_length),
        shares.measure("equal", ["the same"] * 400, by_length),
    ]
    assert all(each.kept for each in found)
    assert found[1].distinct == 1
    text = "\n".join(shares.report(found))
    assert "2 of 2 sources: mean within 2 points, 85% of draws within 6" in text


def test_too_few_prompts_are_no_source() -> None:
    with pytest.raises(ValueError, match="fewer than 200"):
        shares.measure("few", ["a"] * 199, by_length)


def test_a_longer_prompt_scores_no_lower_and_all_scores_lie_between_0_and_1() -> None:
    scores = [by_length("x" * size) for size in (0, 1, 10, 1_000, 99_999, 100_000, 200_000)]
    assert scores == sorted(scores)
    assert (scores[0], scores[-1]) == (0.0, 1.0)


def test_a_mixture_without_the_dominated_tier_is_no_worse_than_the_lowest(tmp_path: Path) -> None:
    """The middle tier fails often; the highest one gets the longest prompts right."""
    path = tmp_path / "rows.jsonl"
    rows: list[dict[str, object]] = [
        {
            "prompt": "x" * (n + 1),
            "tiers": {"mini": int(n < 250), "haiku": n % 10 // 9, "sonnet": 1},
        }
        for n in range(300)
    ]
    path.write_text("\n".join(json.dumps(row) for row in [*rows, {"prompt": "no outcomes"}]))
    found = tiers.read(path)
    assert len(found) == 300
    assert tiers.measure(found, by_length, (1, 0, 0)).over_lowest.high == 0
    assert tiers.measure(found, by_length, (0.6, 0.3, 0.1)).over_lowest.high < 0
    assert tiers.measure(found, by_length, (0.9, 0.0, 0.1)).over_lowest.low > 0
    lines = list(tiers.report(found, by_length))
    assert lines[1] == "always haiku: 10.0%, dominated"
    assert lines[-1].startswith("90% / 0% / 10% (dominated skipped): 93.3%, +10.0 points")


def test_a_file_without_tiers_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "x"}')
    with pytest.raises(ValueError, match="no rows with `tiers`"):
        tiers.read(path)
