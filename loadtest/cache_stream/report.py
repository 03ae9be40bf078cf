"""What runs came to, as a table and as a chart."""

from collections.abc import Sequence

from gateway.core.hit_budget import wilson
from loadtest.cache_stream.stream import Run
from loadtest.failover.plot import Line, Panel

COLUMNS = (
    *("run", "exact", "semantic", "wrong", "wrong of semantic", "in the second half"),
    *("checks", "found wrong", "unclear", "upstream", "threshold", "bound"),
)
_COLOURS = ("#b33", "#c90", "#276", "#247")


def table(runs: Sequence[Run]) -> Sequence[str]:
    """Return a Markdown table."""
    rows = [COLUMNS, ("---",) * len(COLUMNS), *map(_row, runs)]
    return [f"| {' | '.join(row)} |" for row in rows]


def _row(run: Run) -> tuple[str, ...]:
    audits, standing = run.audits, run.standing
    hits, wrong = run.late
    checks = audits.get("same", 0) + audits.get("wrong", 0)
    return (
        run.name,
        f"{run.results.get('hit-exact', 0):,}",
        f"{run.semantic:,}",
        f"{run.wrong:,}",
        _share(run.wrong, run.semantic),
        _share(wrong, hits),
        f"{checks:,}",
        f"{audits.get('wrong', 0):,}",
        f"{audits.get('unclear', 0):,}",
        f"{run.upstream:,}",
        f"{standing.threshold:g}" if standing.serves else f"none ({standing.state})",
        f"{wilson(standing.wrong, standing.checked)[1]:.3f}" if standing.checked else "-",
    )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2%}" if whole else "-"


def panels(runs: Sequence[Run]) -> Sequence[Panel]:
    """Return the thresholds, and the wrong ones of all semantic hits so far, in percent."""
    named = list(zip(runs, _COLOURS, strict=False))
    thresholds = [Line(run.name, colour, run.thresholds) for run, colour in named]
    shares = [
        Line("", colour, [(x, 100 * share) for x, share in run.shares]) for run, colour in named
    ]
    return (
        Panel("Threshold, by number of requests", thresholds, unit="", least=0.75),
        Panel("Wrong of all semantic hits so far, %", shares, unit=""),
    )
