"""What `turnout router eval` prints."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.commands.columns import lines_of
from gateway.core import wire
from gateway.stages.complexity_router.evaluation import METHODS, OURS, TARGET, Figure, Report

COLUMNS: Final = ("SOURCE", "ROWS", *(method.upper() for method in METHODS), "SHARE AT 30 %")
NOTHING: Final = "-"
EXPLAINED: Final = (
    "A cell is APGR / CPT50 / CPT80: higher, lower, lower is better; 0.5 / 50 / 80 is chance.",
    "`turnout` learns from labels, `cold start` is its rules, `keyword rules` are LiteLLM-style.",
    "The last column is the share after 200 prompts without labels, where 30 % was asked for.",
)


def as_json(report: Report) -> str:
    """Return the report for programs: our figures on top, the other methods in `beside`."""
    told: dict[str, Any] = {"rows": report.rows, "draws": report.draws, "tested": report.tested}
    told |= _metrics(report, OURS)
    told["share_error_points"] = {
        "by_source": {name: round(each.error_points, 2) for name, each in report.shares.items()}
    }
    told["share_draws_near"] = {
        "by_source": {name: round(each.near, 3) for name, each in report.shares.items()}
    }
    told["beside"] = {method: _metrics(report, method) for method in METHODS if method != OURS}
    return wire.encode_pretty(told)


def _metrics(report: Report, method: str) -> dict[str, Any]:
    """Return each metric of one method; null where the stronger model is no better."""
    metrics: Mapping[str, Callable[[Figure], float]] = {
        "apgr": lambda figure: round(figure.apgr, 4),
        "apgr_deviation": lambda figure: round(figure.apgr_deviation, 4),
        "cpt50": lambda figure: round(figure.cpt50, 2),
        "cpt80": lambda figure: round(figure.cpt80, 2),
    }
    whole = report.overall.get(method)
    return {
        name: {
            "overall": whole and value(whole),
            "by_source": {
                source: (figures := report.by_source.get(source)) and value(figures[method])
                for source in report.tested
            },
        }
        for name, value in metrics.items()
    }


def as_text(report: Report) -> str:
    """Return a table for people."""
    rows = [_row(report, source, rows) for source, rows in report.tested.items()]
    whole = [_cell(report.overall.get(method)) for method in METHODS]
    rows.append(("all together", f"{sum(report.tested.values()):,}", *whole, NOTHING))
    title = f"{report.rows:,} rows, mean of {report.draws} draws"
    return "\n".join([title, "", *lines_of([COLUMNS, *rows]), "", *EXPLAINED])


def _row(report: Report, source: str, rows: int) -> tuple[str, ...]:
    figures = report.by_source.get(source, {})
    share = report.shares.get(source)
    told = f"{100 * TARGET + share.error_points:.1f}" if share else NOTHING
    return (source, f"{rows:,}", *(_cell(figures.get(method)) for method in METHODS), told)


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return NOTHING
    return f"{figure.apgr:.3f} / {figure.cpt50:.1f} / {figure.cpt80:.1f}"
