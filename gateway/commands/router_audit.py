"""`turnout router audit`: which tiers earn their price, by a file of outcomes."""

import argparse
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec.structs import asdict

from gateway.commands.columns import lines_of
from gateway.commands.json_lines import read_lines
from gateway.commands.on_store import complain
from gateway.commands.options import Commands
from gateway.commands.router_rows import LONGEST
from gateway.core import wire
from gateway.stages.complexity_router.audit.bootstrap import CONFIDENCE, DRAWS, SEED
from gateway.stages.complexity_router.audit.rows import Judged, read, tiers_of
from gateway.stages.complexity_router.audit.tiers import FEWEST, Audit, Comparison, audit

COLUMNS: Final = ("ROWS", "CHEAPER", "DEARER", "PAIRS", "DIFFERENCE", "95 % INTERVAL", "VERDICT")
ALL: Final = "all"


def add_audit(verbs: Commands) -> None:
    """Add the verb to `turnout router`."""
    parser = verbs.add_parser(
        "audit",
        help="say which tiers are better than the next cheaper one, and which only cost more",
        description="Compare tiers by requests that several of them answered: the mean difference "
        "of their scores with its bootstrap interval. A dearer tier whose whole interval lies at "
        "or below 0 is dominated; one whose interval spans 0 is unproven.",
    )
    parser.add_argument(
        "rows",
        metavar="FILE",
        type=Path,
        help='JSON Lines {"tiers": {name: score, ...}}, or {"pair": "weak|strong", "weak": score, '
        '"strong": score} where no row has tiers; scores from 0 to 1, gzip is read too',
    )
    parser.add_argument(
        "--tiers",
        metavar="NAMES",
        help="the tiers, cheapest first, separated by commas (default: in the order of the rows)",
    )
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="(default: text)"
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print the audit of all rows, and of each source where there are several."""
    try:
        rows = _read(given.rows)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        return complain("router", f"{given.rows}: {error}")
    known = tiers_of(rows)
    tiers = given.tiers.split(",") if given.tiers else known
    if strange := [name for name in tiers if name not in known]:
        return complain("router", f"{given.rows}: no row has a tier {strange[0]!r}")
    if len(tiers) < 2 or len(set(tiers)) < len(tiers):  # noqa: PLR2004 - a tier and a dearer one
        return complain("router", f"{given.rows}: two tiers with outcomes are needed, once each")
    audits = {name: audit(part, tiers) for name, part in _parts(rows).items()}
    show = _as_json if given.format == "json" else _as_text
    print(show(tiers, audits))
    return 0


def _read(path: Path) -> Sequence[Judged]:
    return read(line for _, _, line in read_lines([path], LONGEST))


def _parts(rows: Sequence[Judged]) -> Mapping[str, Sequence[Mapping[str, float]]]:
    """Return the outcomes of all rows, and by source where there are several."""
    parts = {ALL: [row.outcomes for row in rows]}
    sources = {row.source: None for row in rows}
    if len(sources) > 1:
        for source in sources:
            parts[source or "(none)"] = [row.outcomes for row in rows if row.source == source]
    return parts


def _as_json(tiers: Sequence[str], audits: Mapping[str, Audit]) -> str:
    sources = {name: _told(each) for name, each in audits.items() if name != ALL}
    method = {"draws": DRAWS, "seed": SEED, "confidence": CONFIDENCE, "fewest_pairs": FEWEST}
    told = {"tiers": tiers, "bootstrap": method, **_told(audits[ALL]), "by_source": sources}
    return wire.encode_pretty(told)


def _told(found: Audit) -> dict[str, Any]:
    comparisons = [asdict(each) for each in found.comparisons]
    return {"comparisons": comparisons, "dominated": found.dominated}


def _as_text(tiers: Sequence[str], audits: Mapping[str, Audit]) -> str:
    rows = [_row(name, each) for name, found in audits.items() for each in found.comparisons]
    lines = [f"Tiers, cheapest first: {', '.join(tiers)}", "", *lines_of([COLUMNS, *rows]), ""]
    for each in audits[ALL].comparisons:
        if each.verdict == "dominated":
            lines.append(f"{each.dearer} is dominated by {each.cheaper}: dearer and not better.")
        elif each.verdict == "unproven":
            lines.append(f"{each.dearer} is not proven to be better than {each.cheaper}.")
    method = f"Intervals by {DRAWS:,} resamples of the pairs, seed {SEED}; fewer than {FEWEST}"
    return "\n".join([*lines, f"{method} pairs prove nothing."])


def _row(part: str, found: Comparison) -> tuple[str, ...]:
    names = (part, found.cheaper, found.dearer, f"{found.pairs:,}")
    of = found.difference
    if of is None:
        return (*names, "", "", found.verdict)
    interval = f"{100 * of.low:+.1f} to {100 * of.high:+.1f}"
    return (*names, f"{100 * of.mean:+.1f} points", interval, found.verdict)
