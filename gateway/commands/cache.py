"""`turnout cache`: what the store of a gateway keeps of answers, and removing it."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from msgspec.structs import asdict

from gateway.commands.cache_eval import add_eval
from gateway.commands.cache_groups import groups_of, table_of
from gateway.commands.columns import lines_of
from gateway.commands.on_store import UNUSABLE, complain, finish, reached, say, task_failed
from gateway.commands.options import Commands, setup_of
from gateway.core import wire
from gateway.core.answers import Answer, Held, Selection
from gateway.core.state import State
from gateway.edge.cache_desk import told_of
from gateway.policy.setup import Setup
from gateway.runtime import open_runtime
from gateway.tools import open_state

MOST: Final = 20
SHOWN: Final = 100_000
"""Characters of an answer that --show prints at most."""
STATS: Final = ("TENANT", "POLICY", "ASKED", "MODEL", "ANSWERS", "BYTES", "OLDEST")
INSPECT: Final = ("ID", "TENANT", "POLICY", "ASKED", "MODEL", "STORED", "GONE", "BYTES")
FIELDS: Final[Mapping[str, str]] = {
    "tenant": "of this tenant",
    "policy": "of this policy",
    "asked": "to requests for this model or alias",
    "model": "that this model gave",
    "tag": "with this tag",
    "corpus": "that used this corpus",
    "id": "the one of this id, as in the header x-turnout-cache-id",
}
MEMORY: Final = (
    "`state: kind: memory` keeps answers in the gateway's own process, where this command cannot "
    "reach them. Use /admin/cache, or choose `kind: sqlite` in gateway.yaml."
)

NOTHING: Final = "name what to purge (see --help), or say --all."

Work = Callable[[State, argparse.Namespace], Awaitable[int]]


def add_to(commands: Commands) -> None:
    """Add the command and its verbs."""
    parser = commands.add_parser(
        "cache",
        help="look into the cache's store, purge it, and measure similar questions",
        description="Look into the store of answers, and purge it. A gateway that runs on the "
        "same store goes by it within a second. `eval` measures how often similar questions hit.",
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    summed = verbs.add_parser("stats", help="sum up what there is, by tenant, policy and model")
    finish(summed, run, stats)
    _add_inspect(verbs)
    _add_purge(verbs)
    add_eval(verbs)


def _add_inspect(verbs: Commands) -> None:
    parser = verbs.add_parser(
        "inspect",
        help="list answers, the newest first",
        description="List answers, the newest first. Questions and answers themselves are printed "
        "with --show only: they are what your users wrote and read.",
    )
    _add_fields(parser)
    parser.add_argument("--most", metavar="N", type=int, default=MOST, help=f"(default: {MOST})")
    parser.add_argument("--show", action="store_true", help="print questions and answers too")
    finish(parser, run, inspect)


def _add_purge(verbs: Commands) -> None:
    parser = verbs.add_parser(
        "purge",
        help="remove answers for good, from the disk too",
        description="Remove the answers that fit all that is named, for good, from the disk too.",
    )
    _add_fields(parser)
    parser.add_argument("--all", action="store_true", help="every answer there is")
    parser.add_argument("--dry-run", action="store_true", help="only say how many they are")
    finish(parser, run, purge)


def _add_fields(parser: argparse.ArgumentParser) -> None:
    for name, what in FIELDS.items():
        parser.add_argument(f"--{name}", metavar="NAME", help=f"answers {what}")


def run(given: argparse.Namespace) -> int:
    """Open the store and do what was asked. Raises Invalid when the configuration is not usable."""
    setup = setup_of(given)
    if not setup.state.shared:
        return complain("cache", MEMORY, UNUSABLE)
    return reached("cache", lambda: asyncio.run(_with_store(setup, given)), "Try again.")


async def _with_store(setup: Setup, given: argparse.Namespace) -> int:
    async with (
        open_runtime(task_failed) as runtime,
        open_state(setup, runtime, given.data) as state,
    ):
        code: int = await given.work(state, given)
        return code


async def stats(state: State, given: argparse.Namespace) -> int:
    """Print sums."""
    held, groups = await state.answers.held(), await groups_of(state)
    if given.format == "json":
        rows = [{**asdict(each), "oldest": _moment(each.oldest)} for each in held]
        told = {**_total(held), "kinds": rows, "groups": list(map(told_of, groups))}
        print(wire.encode_pretty(told))
        return 0
    if groups:
        print("\n".join([*lines_of(table_of(groups)), ""]))
    if not held:
        say(f"No answer is kept here. (data: {given.data.absolute()})")
        return 0
    print("\n".join(lines_of([STATS, *map(_summed, held)])))
    total = _total(held)
    say(f"{total['answers']:,} answers, {total['size']:,} bytes")
    return 0


async def inspect(state: State, given: argparse.Namespace) -> int:
    """Print answers."""
    answers = await state.answers.find(_selection(given), most=given.most)
    if given.format == "json":
        rows = [_facts(each, show=given.show) for each in answers]
        print(wire.encode_pretty({"answers": rows}))
        return 0
    if not answers:
        say("There is no such answer.")
        return 0
    print("\n".join(lines_of([INSPECT, *map(_listed, answers)])))
    for each in answers if given.show else ():
        told = _facts(each, show=True)
        print(f"\n{each.id}\n  question: {told['question']}\n  answer: {told['body']}")
    return 0


async def purge(state: State, given: argparse.Namespace) -> int:
    """Remove answers, or say how many it would be."""
    which = _selection(given)
    if which == Selection() and not given.all:
        return complain("cache", NOTHING)
    count = await state.answers.remove(which, dry_run=given.dry_run)
    if given.format == "json":
        print(wire.encode_pretty({"removed": count, "dry_run": given.dry_run}))
        return 0
    print(f"{count:,} answers {'would be' if given.dry_run else 'are'} removed.")
    return 0


def _selection(given: argparse.Namespace) -> Selection:
    return Selection(**{name: getattr(given, name) for name in FIELDS})


def _total(held: Sequence[Held]) -> dict[str, int]:
    return {
        "answers": sum(each.answers for each in held),
        "size": sum(each.size for each in held),
    }


def _summed(held: Held) -> tuple[str, ...]:
    kind = (held.tenant, held.policy, held.asked, held.model)
    return (*kind, f"{held.answers:,}", f"{held.size:,}", _moment(held.oldest))


def _listed(answer: Answer) -> tuple[str, ...]:
    kind = (answer.id, answer.tenant, answer.policy, answer.asked, answer.model)
    return (*kind, _moment(answer.stored), _moment(answer.gone_at), f"{answer.size:,}")


def _facts(answer: Answer, *, show: bool) -> dict[str, Any]:
    """Return what may be told of an answer; what people wrote and read only to `show`."""
    private = {"question", "body", "vector"}
    facts = {name: value for name, value in asdict(answer).items() if name not in private}
    facts |= {name: _moment(facts[name]) for name in ("stored", "fresh_until", "gone_at")}
    facts |= {"size": answer.size, "semantic": bool(answer.vector)}
    if show:
        body = answer.body.decode(errors="replace")
        facts |= {"question": answer.question[:SHOWN], "body": body[:SHOWN]}
    return facts


def _moment(epoch: float) -> str:
    return datetime.fromtimestamp(int(epoch), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
