"""`turnout cache eval`: how often a policy's semantic look-up hits, and how often wrongly."""

import argparse
import asyncio
import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from gateway.commands.columns import lines_of
from gateway.commands.on_store import UNUSABLE, complain, say, task_failed
from gateway.commands.options import Commands, add_data, add_folders, setup_of
from gateway.core import wire
from gateway.core.embedding import Embedded, Embedder, EmbedderUnavailable
from gateway.policy.setup import Setup
from gateway.runtime import open_runtime
from gateway.semantic.opening import open_semantic
from gateway.stages.semantic_cache.lookup import SemanticPolicy
from gateway.stages.semantic_cache.policy import SemanticCachePolicy
from gateway.stages.semantic_cache.scoring import (
    Outcome,
    Pair,
    Score,
    outcome,
    score,
    suggestion,
    vetoes,
)
from gateway.tools import open_providers

AT_ONCE: Final = 1000
"""Texts that are embedded between two words of progress."""
LONGEST: Final = 1 << 20
"""Bytes of a line."""
MOST_PAIRS: Final = 1_000_000
PLAIN: Final = (0.85, 0.9, 0.95)
GATED: Final = (0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.98)
COLUMNS: Final = (
    "RULE", "HITS", "EXACT", "WRONG", "PRECISION", "RECALL", "WRONG/LOOKUP", "NEGATIVES SERVED",
)  # fmt: skip


class Unreadable(Exception):
    """The file holds something else; the text says where and what."""


def add_eval(verbs: Commands) -> None:
    """Add the verb to `turnout cache`."""
    parser = verbs.add_parser(
        "eval",
        help="measure hits and wrong hits of similar questions on pairs of known meaning",
        description="Look up every pair of a file as a policy's semantic cache would, and print "
        "how many hits there are and how many are wrong, beside the cosine alone. Nothing is "
        "stored, and no model but the embedder is asked.",
    )
    parser.add_argument(
        "pairs",
        metavar="FILE",
        type=Path,
        help='JSON Lines {"a": question, "b": question, "y": 1 for one meaning, 0 for two}; '
        "gzip is read too",
    )
    parser.add_argument(
        "--policy", metavar="NAME", default="default", help="whose setting (default: default)"
    )
    parser.add_argument(
        "--most-wrong",
        metavar="SHARE",
        type=_part,
        default=0.007,
        help="wrong hits of all look-ups that the suggested threshold may have (default: 0.007)",
    )
    add_folders(parser)
    add_data(parser)
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="(default: text)"
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Measure. Raises Invalid when the configuration is not usable."""
    setup = setup_of(given)
    policy = setup.rules.policies.get(given.policy)
    if policy is None:
        return complain("cache", f"there is no policy {given.policy!r}", UNUSABLE)
    setting = _setting(policy.pipeline)
    if setting is None:
        setting = SemanticPolicy()
        say(f"policy {given.policy!r} has no `semantic:`: what it is by default is measured.")
    try:
        pairs = list(_read(given.pairs))
        outcomes = asyncio.run(_measure(setup, given.data, pairs))
    except (OSError, EOFError, zlib.error, Unreadable) as error:
        return complain("cache", f"{given.pairs}: {error}")
    except EmbedderUnavailable as error:
        return complain("cache", f"the embedder cannot be used: {error}", UNUSABLE)
    suggested = suggestion(outcomes, given.most_wrong)
    show = _as_json if given.format == "json" else _as_text
    print(show(outcomes, setting.threshold, suggested, given.most_wrong))
    return 0


def _setting(pipeline: Sequence[object]) -> SemanticPolicy | None:
    stages = [stage for stage in pipeline if isinstance(stage, SemanticCachePolicy)]
    return next((stage.semantic for stage in stages if stage.semantic), None)


def _read(path: Path) -> Iterator[Pair]:
    """Yield the pairs of a file. Raises Unreadable."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path) if packed else path.open("rb") as lines:
        for number in range(1, MOST_PAIRS + 2):
            line = lines.readline(LONGEST)
            if not line:
                break
            if number > MOST_PAIRS:
                raise Unreadable(f"more than {MOST_PAIRS:,} lines")
            if line.strip():
                yield _pair(line, number)


def _pair(line: bytes, number: int) -> Pair:
    try:
        pair = wire.decode_as(line, Pair)
    except ValueError as error:
        raise Unreadable(f"line {number}: {error}") from error
    if pair.y not in {0, 1}:
        raise Unreadable(f"line {number}: `y` must be 1 for one meaning or 0 for two")
    return pair


async def _measure(setup: Setup, data: Path, pairs: Sequence[Pair]) -> Sequence[Outcome]:
    if not pairs:
        raise Unreadable("there is no pair in it")
    async with AsyncExitStack() as stack:
        runtime = await stack.enter_async_context(open_runtime(task_failed))
        providers = open_providers(setup, runtime, stack)
        opening = open_semantic(setup.embedder, runtime, data, providers, _warn)
        semantic = await stack.enter_async_context(opening)
        if semantic is None:
            raise EmbedderUnavailable("gateway.yaml has no `embedder:` that is installed")
        embedder = semantic.embedder
        await embedder.warm()
        texts = [text for pair in pairs for text in (pair.a, pair.b)]
        vectors = await _embed(embedder, texts)
        both = zip(pairs, vectors[::2], vectors[1::2], strict=True)
        return [outcome(*each, embedder.languages) for each in both]


async def _embed(embedder: Embedder, texts: Sequence[str]) -> Sequence[Embedded]:
    vectors: list[Embedded] = []
    for start in range(0, len(texts), AT_ONCE):
        vectors += await embedder.embed(texts[start : start + AT_ONCE])
        say(f"{len(vectors):,} of {len(texts):,} questions are embedded")
    return vectors


def _as_json(
    outcomes: Sequence[Outcome], threshold: float, suggested: Score | None, most_wrong: float
) -> str:
    here = score(outcomes, threshold, gates=True)
    gates = vetoes(outcomes, threshold)
    found = {
        **_told(here),
        "plain": [_told(score(outcomes, each, gates=False)) for each in PLAIN],
        "gated": [_told(score(outcomes, each, gates=True)) for each in GATED],
        "vetoes": {
            gate: {"right": right, "wrong": wrong} for gate, (right, wrong) in gates.items()
        },
        "most_wrong": most_wrong,
        "suggested": suggested and _told(suggested),
    }
    return wire.encode_pretty(found)


def _told(found: Score) -> dict[str, Any]:
    return {
        "threshold": found.threshold,
        "lookups": found.lookups,
        "hits": found.hits,
        "exact": found.exact,
        "wrong": found.wrong,
        "hit_rate": round(found.hits / found.lookups, 5),
        "precision": round(found.precision, 5),
        "recall": round(found.recall, 5),
        "wrong_per_lookup": round(found.wrong_per_lookup, 5),
        "negatives": found.lookups - found.right_pairs,
        "negatives_served": round(found.negatives_served, 5),
    }


def _as_text(
    outcomes: Sequence[Outcome], threshold: float, suggested: Score | None, most_wrong: float
) -> str:
    here = score(outcomes, threshold, gates=True)
    rows = [_row("cosine", score(outcomes, each, gates=False)) for each in PLAIN]
    rows += [_row("gates", score(outcomes, each, gates=True)) for each in GATED]
    rows.append(_row("this policy", here))
    kept = [
        (gate, f"{right:,}", f"{wrong:,}")
        for gate, (right, wrong) in vetoes(outcomes, threshold).items()
    ]
    lines = [f"{here.lookups:,} look-ups, of {here.right_pairs:,} pairs with one meaning", ""]
    lines += lines_of([COLUMNS, *rows])
    if kept:
        lines += ["", f"What gates kept from being served from {threshold} on:"]
        lines += lines_of([("GATE", "RIGHT", "WRONG"), *kept])
    return "\n".join([*lines, "", _advice(suggested, most_wrong)])


def _advice(suggested: Score | None, most_wrong: float) -> str:
    if suggested is None:
        return f"No threshold keeps wrong hits to {most_wrong:.2%} of these look-ups."
    return (
        f"Suggested: threshold {suggested.threshold}, the lowest with at most {most_wrong:.2%} "
        f"wrong of all look-ups here ({suggested.hits:,} hits, {suggested.wrong:,} wrong)."
    )


def _row(rule: str, found: Score) -> tuple[str, ...]:
    shares = (found.precision, found.recall, found.wrong_per_lookup, found.negatives_served)
    counts = (found.hits, found.exact, found.wrong)
    told = [f"{count:,}" for count in counts] + [f"{share:.2%}" for share in shares]
    return (f"{rule} {found.threshold}", *told)


def _part(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError("this must be a number from 0 to 1")
    return share


def _warn(event: str, **fields: object) -> None:
    say(f"warning: {event} ({', '.join(f'{name}: {value}' for name, value in fields.items())})")
