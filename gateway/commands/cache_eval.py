"""`turnout cache eval`: how often a policy's semantic look-up hits, and how often wrongly."""

import argparse
import asyncio
import zlib
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from gateway.commands import eval_traffic
from gateway.commands.columns import lines_of
from gateway.commands.eval_files import read
from gateway.commands.json_lines import Unreadable
from gateway.commands.on_store import UNUSABLE, complain, say, task_failed
from gateway.commands.options import Commands, add_data, add_folders, setup_of
from gateway.core import wire
from gateway.core.embedding import Embedded, Embedder, EmbedderUnavailable
from gateway.core.traffic import Record
from gateway.policy.setup import Setup
from gateway.runtime import open_runtime
from gateway.semantic.opening import open_semantic
from gateway.stages.semantic_cache.lookup import SemanticPolicy
from gateway.stages.semantic_cache.policy import SemanticCachePolicy
from gateway.stages.semantic_cache.scoring import (
    Measured,
    Pair,
    Score,
    of_pairs,
    outcome,
    suggestion,
)
from gateway.tools import open_providers

AT_ONCE: Final = 1000
"""Texts that are embedded between two words of progress."""
PLAIN: Final = (0.85, 0.9, 0.95)
GATED: Final = (0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.98)
COLUMNS: Final = (
    "RULE", "HITS", "EXACT", "WRONG", "UNKNOWN", "PRECISION", "RECALL", "WRONG/LOOKUP",
    "NEGATIVES SERVED",
)  # fmt: skip
UNKNOWN: Final = (
    "Of {count:,} hits nobody knows whether they are right: one of both answers was not "
    "recorded (`record: {{answers: true}}`), or was itself served to a similar question."
)


def add_eval(verbs: Commands) -> None:
    """Add the verb to `turnout cache`."""
    parser = verbs.add_parser(
        "eval",
        help="measure hits and wrong hits of similar questions, on pairs or recorded traffic",
        description="Look up pairs of known meaning, or requests that a policy recorded in their "
        "order, as a policy's semantic cache would, and print how many hits there are and how many "
        "are wrong, beside the cosine alone. Nothing is stored, and no model but the embedder is "
        "asked.",
    )
    parser.add_argument(
        "pairs",
        metavar="FILE",
        type=Path,
        help='JSON Lines {"a": question, "b": question, "y": 1 for one meaning, 0 for two}, or '
        "those of a policy's `record:`; gzip is read too, and of a folder all *.jsonl below it",
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
    stages = [stage for stage in policy.pipeline if isinstance(stage, SemanticCachePolicy)]
    stage = next((each for each in stages if each.semantic), None)
    if stage is None:
        stage = stages[0] if stages else SemanticCachePolicy()
        say(f"policy {given.policy!r} has no `semantic:`: what it is by default is measured.")
    try:
        given_lines = read(given.pairs)
        measured = asyncio.run(_measure(setup, given, stage, given_lines))
    except (OSError, EOFError, zlib.error, Unreadable) as error:
        return complain("cache", f"{given.pairs}: {error}")
    except EmbedderUnavailable as error:
        return complain("cache", f"the embedder cannot be used: {error}", UNUSABLE)
    threshold = (stage.semantic or SemanticPolicy()).threshold
    suggested = suggestion(measured, given.most_wrong)
    show = _as_json if given.format == "json" else _as_text
    print(show(measured, threshold, suggested, given.most_wrong))
    return 0


async def _measure(
    setup: Setup,
    given: argparse.Namespace,
    stage: SemanticCachePolicy,
    lines: Sequence[Pair | Record],
) -> Measured:
    async with AsyncExitStack() as stack:
        runtime = await stack.enter_async_context(open_runtime(task_failed))
        providers = open_providers(setup, runtime, stack)
        opening = open_semantic(setup.embedder, runtime, given.data, providers, _warn)
        semantic = await stack.enter_async_context(opening)
        if semantic is None:
            raise EmbedderUnavailable("gateway.yaml has no `embedder:` that is installed")
        embedder = semantic.embedder
        pairs = [each for each in lines if isinstance(each, Pair)]
        if pairs:
            await embedder.warm()
            vectors = await _embed(embedder, [text for pair in pairs for text in (pair.a, pair.b)])
            both = zip(pairs, vectors[::2], vectors[1::2], strict=True)
            return of_pairs([outcome(*each, embedder.languages) for each in both])
        await semantic.warm()
        return await eval_traffic.measure(
            setup,
            given.policy,
            stage,
            [each for each in lines if isinstance(each, Record)],
            semantic=semantic,
            embed=lambda texts: _embed(embedder, texts),
            clock=runtime.clock,
        )


async def _embed(embedder: Embedder, texts: Sequence[str]) -> Sequence[Embedded]:
    vectors: list[Embedded] = []
    for start in range(0, len(texts), AT_ONCE):
        vectors += await embedder.embed(texts[start : start + AT_ONCE])
        say(f"{len(vectors):,} of {len(texts):,} texts are embedded")
    return vectors


def _as_json(
    measured: Measured, threshold: float, suggested: Score | None, most_wrong: float
) -> str:
    gates = measured.vetoes(threshold)
    found = {
        **_told(measured.score(threshold, True)),
        **measured.facts,
        "plain": [_told(measured.score(each, False)) for each in PLAIN],
        "gated": [_told(measured.score(each, True)) for each in GATED],
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
        "unknown": found.unknown,
        "hit_rate": round(found.hits / found.lookups, 5),
        "precision": round(found.precision, 5),
        "recall": round(found.recall, 5),
        "wrong_per_lookup": round(found.wrong_per_lookup, 5),
        "negatives": found.negatives,
        "negatives_served": round(found.negatives_served, 5),
    }


def _as_text(
    measured: Measured, threshold: float, suggested: Score | None, most_wrong: float
) -> str:
    here = measured.score(threshold, True)
    rows = [_row("cosine", measured.score(each, False)) for each in PLAIN]
    rows += [_row("gates", measured.score(each, True)) for each in GATED]
    rows.append(_row("this policy", here))
    kept = [
        (gate, f"{right:,}", f"{wrong:,}")
        for gate, (right, wrong) in measured.vetoes(threshold).items()
    ]
    facts = [f"{name.replace('_', ' ')}: {count:,}" for name, count in measured.facts.items()]
    lines = ["; ".join([measured.what, *facts]), "", *lines_of([COLUMNS, *rows])]
    if kept:
        lines += ["", f"What gates kept from being served from {threshold} on:"]
        lines += lines_of([("GATE", "RIGHT", "WRONG"), *kept])
    if here.unknown:
        lines += ["", UNKNOWN.format(count=here.unknown)]
    return "\n".join([*lines, "", _advice(suggested, most_wrong)])


def _advice(suggested: Score | None, most_wrong: float) -> str:
    if suggested is None:
        return f"No threshold is known to keep wrong hits to {most_wrong:.2%} of these look-ups."
    return (
        f"Suggested: threshold {suggested.threshold}, the lowest with at most {most_wrong:.2%} "
        f"wrong of all look-ups here ({suggested.hits:,} hits, {suggested.wrong:,} wrong)."
    )


def _row(rule: str, found: Score) -> tuple[str, ...]:
    shares = (found.precision, found.recall, found.wrong_per_lookup, found.negatives_served)
    counts = (found.hits, found.exact, found.wrong, found.unknown)
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
