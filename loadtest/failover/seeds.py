"""The same bad time with many seeds: what one of them shows may be luck."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from statistics import median

from loadtest.failover.brownout import CASES, Kind, Outcome, run


def report(count: int) -> list[str]:
    """Run every case with so many seeds; return lines with the median and the worst of them."""
    lines = [
        f"{count} seeds, each figure as median / worst",
        f"{'':38} {'good in it':>17} {'95 % after':>13} {'P4, as sent':>13} {'as they came':>13}",
    ]
    kinds: tuple[Kind, ...] = ("brownout", "outage")
    with ProcessPoolExecutor() as pool:
        for kind in kinds:
            for case in CASES:
                found = list(pool.map(partial(_one, case, kind), range(1, count + 1)))
                lines.append(f"{kind + ', ' + case:38} {_figures(found)}")
    return lines


def _one(case: str, kind: Kind, seed: int) -> Outcome:
    return asyncio.run(run(case, naive=False, kind=kind, seed=seed))


def _figures(found: Sequence[Outcome]) -> str:
    during = [each.during for each in found]
    middle_and_worst = [f"{median(during):8.2%} /{min(during):7.2%}"]
    highest: tuple[Callable[[Outcome], float], ...] = (
        lambda each: each.recovered,
        lambda each: each.excess,
        lambda each: each.late,
    )
    for figure in highest:
        each = [figure(outcome) for outcome in found]
        middle_and_worst.append(f"{median(each):+6.0f} /{max(each):+5.0f}")
    return "  ".join(middle_and_worst)
