"""`turnout router`: learn from requests of known outcome which ones need a stronger model."""

import argparse
from pathlib import Path
from typing import Final

from gateway.commands.json_lines import Unreadable
from gateway.commands.on_store import complain, say
from gateway.commands.options import Commands
from gateway.commands.router_audit import add_audit
from gateway.commands.router_report import as_json, as_text
from gateway.commands.router_rows import read_examples
from gateway.stages.complexity_router.artefact import BadArtefact, encode_artefact, read_artefact
from gateway.stages.complexity_router.evaluation import evaluate
from gateway.stages.complexity_router.training import train, trained_on_these

DRAWS: Final = 10
ROWS: Final = (
    'JSON Lines {"prompt": ..., "weak": 0 to 1, "strong": 0 to 1, "pair": "weaker|stronger model", '
    '"source": ...}; gzip is read too'
)


def add_to(commands: Commands) -> None:
    """Add the command and its verbs."""
    parser = commands.add_parser(
        "router",
        help="train the complexity router on outcomes, measure it, and audit its tiers",
        description="Learn from prompts that a weaker and a stronger model have answered how much "
        "the stronger one helps, measure how well that tells the next prompts apart, and find "
        "out which tiers earn their price.",
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    _add_train(verbs)
    _add_eval(verbs)
    add_audit(verbs)


def _add_train(verbs: Commands) -> None:
    parser = verbs.add_parser(
        "train",
        help="write an artefact from labelled rows",
        description="Learn one model for each pair of models in the rows, and write all of them "
        "to a file. The same rows give the same bytes. No text of the rows is in it.",
    )
    parser.add_argument("rows", metavar="DATA", type=Path, nargs="+", help=ROWS)
    parser.add_argument(
        "--out", metavar="FILE", type=Path, required=True, help="where to write the artefact"
    )
    parser.set_defaults(run=run_train)


def _add_eval(verbs: Commands) -> None:
    parser = verbs.add_parser(
        "eval",
        help="measure APGR, CPT50, CPT80 and calibration on labelled rows",
        description="Measure how well rows are routed, beside length, keyword rules and chance. "
        "Without an artefact each source is learned from a part of its own rows and judged on "
        "the others.",
    )
    parser.add_argument("rows", metavar="DATA", type=Path, nargs="+", help=ROWS)
    parser.add_argument("--artefact", metavar="FILE", type=Path, help="judge this one as it is")
    parser.add_argument(
        "--draws",
        metavar="N",
        type=_count,
        default=DRAWS,
        help=f"how often parts are drawn (default: {DRAWS})",
    )
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="(default: text)"
    )
    parser.set_defaults(run=run_eval)


def run_train(given: argparse.Namespace) -> int:
    """Write an artefact."""
    try:
        artefact = train(read_examples(given.rows, say), say)
        text = encode_artefact(artefact)
        _write(given.out, text)
    except (OSError, ValueError) as error:
        return complain("router", str(error))
    rows = sum(artefact.sources.values())
    say(f"{given.out}: {len(text):,} bytes, {len(artefact.pairs):,} pairs, {rows:,} rows")
    return 0


def run_eval(given: argparse.Namespace) -> int:
    """Print what is measured."""
    try:
        artefact = read_artefact(given.artefact) if given.artefact else None
        examples = read_examples(given.rows, say)
        if artefact and trained_on_these(artefact, examples):
            say("warning: this artefact was trained on these very rows: they say nothing of others")
        report = evaluate(examples, artefact, given.draws, say)
    except (OSError, BadArtefact, Unreadable) as error:
        return complain("router", str(error))
    print(as_json(report) if given.format == "json" else as_text(report))
    return 0


def _write(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text)
    beside.replace(path)


def _count(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError("this must be a number from 1 on")
    return int(text)
