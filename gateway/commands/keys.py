"""`turnout keys`: create, list and revoke keys in the store of a gateway, running or not."""

import argparse
import asyncio
import os
import pwd
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from gateway.commands.columns import lines_of
from gateway.commands.on_store import UNUSABLE, complain, finish, reached, say, task_failed
from gateway.commands.options import Commands, setup_of
from gateway.core import wire
from gateway.core.keys import mark_of
from gateway.core.secret import Secret
from gateway.core.state import IssuedKey, Keys
from gateway.policy.issue import Audit, Issuer, Misfit, facts
from gateway.policy.setup import Setup
from gateway.runtime import SystemClock, new_secret, open_runtime
from gateway.telemetry.log import open_log
from gateway.tools import open_state, pepper_for

CHANGES: Final = "keys.log"
"""Where in the data directory every change that is made here leaves a line, as in the log."""
HEAD: Final = ("ID", "KEY", "TENANT", "STATE", "CREATED", "EXPIRES", "LABELS", "NETWORKS")
MEMORY: Final = (
    "`state: kind: memory` keeps keys in the gateway's own process, where this command cannot "
    "reach them. Use POST /admin/keys, or choose `kind: sqlite` in gateway.yaml."
)

Work = Callable[[Issuer, argparse.Namespace], Awaitable[int]]


def add_to(commands: Commands) -> None:
    """Add the command and its three verbs."""
    parser = commands.add_parser(
        "keys",
        help="create, list and revoke keys",
        description="Issue keys to tenants. A gateway that runs on the same store hears of every "
        "change within a second.",
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    _add_create(verbs)
    shown = verbs.add_parser("list", help="list every key that was issued, revoked ones too")
    finish(shown, run, show)
    revoked = verbs.add_parser("revoke", help="refuse a key from now on, for good")
    revoked.add_argument("id", metavar="ID", help="as `turnout keys list` shows it")
    finish(revoked, run, revoke)


def _add_create(verbs: Commands) -> None:
    parser = verbs.add_parser(
        "create",
        help="create a key",
        description="Create a key and print it, this once: only a digest of it is kept.",
    )
    parser.add_argument("--tenant", required=True, help="whose key it is, as in tenants.yaml")
    parser.add_argument(
        "--label",
        metavar="NAME=TEXT",
        action="append",
        default=[],
        dest="labels",
        help="a label for policies, over the tenant's own; may be repeated",
    )
    parser.add_argument(
        "--expires", metavar="SPAN", default="", help="such as 12h or 30d (default: never)"
    )
    parser.add_argument(
        "--network",
        metavar="CIDR",
        action="append",
        default=[],
        dest="networks",
        help="from where it may be used, such as 10.0.0.0/8; may be repeated (default: anywhere)",
    )
    finish(parser, run, create)


def run(given: argparse.Namespace) -> int:
    """Open the store and do what was asked. Raises Invalid when the configuration is not usable."""
    setup = setup_of(given)
    if not setup.state.shared:
        return complain("keys", MEMORY, UNUSABLE)

    def work() -> int:
        pepper = pepper_for(setup, given.data, new_secret)
        with _noted(given.data / CHANGES) as audit:
            return asyncio.run(_with_store(setup, given, pepper, audit))

    return reached("keys", work, "Nothing was changed.")


async def _with_store(setup: Setup, given: argparse.Namespace, pepper: Secret, audit: Audit) -> int:
    rules = setup.rules
    async with (
        open_runtime(task_failed) as runtime,
        open_state(setup, runtime, given.data) as state,
    ):
        issuer = Issuer(
            state,
            pepper,
            new_secret=runtime.new_secret,
            tenants=lambda: None if rules.tenants is None else rules.callers,
            audit=audit,
        )
        await _warn_of_other_peppers(state.keys, mark_of(pepper.reveal().encode()))
        code: int = await given.work(issuer, given)
        return code


async def create(issuer: Issuer, given: argparse.Namespace) -> int:
    """Create a key; the key alone goes to standard output."""
    labels = dict(text.partition("=")[::2] for text in given.labels)
    if len(labels) < len(given.labels):
        return complain("keys", "labels: one name is here twice.")
    asked: dict[str, Any] = {
        "tenant": given.tenant,
        "labels": labels,
        "networks": given.networks,
        "expires": given.expires,
    }
    try:
        issued = await issuer.create(asked, _actor())
    except Misfit as error:
        return complain("keys", f"{error.field}: {error}")
    kept = facts(issued.key, issuer.now())
    if given.format == "json":
        print(wire.encode_pretty({"key": issued.secret, **kept}))
        return 0
    print(issued.secret)
    until = f"until {kept['expires']}" if kept["expires"] else "until it is revoked"
    say(f"Key {kept['id']} of tenant {kept['tenant']}, good {until}. It is not shown again.")
    say(f"(data: {given.data.absolute()})")
    return 0


async def show(issuer: Issuer, given: argparse.Namespace) -> int:
    """Print every key."""
    now = issuer.now()
    rows = [facts(key, now) for key in await issuer.all()]
    if given.format == "json":
        print(wire.encode_pretty({"keys": rows}))
    elif rows:
        print("\n".join(table(rows)))
    else:
        say(f"No key was issued here yet. (data: {given.data.absolute()})")
    return 0


async def revoke(issuer: Issuer, given: argparse.Namespace) -> int:
    """Revoke a key."""
    key = await issuer.revoke(given.id, _actor())
    if key is None:
        return complain("keys", f"there is no key {given.id}. `turnout keys list` shows them.")
    kept = facts(key, issuer.now())
    if given.format == "json":
        print(wire.encode_pretty(kept))
    else:
        say(f"Key {kept['id']} of tenant {kept['tenant']} is revoked since {kept['revoked']}.")
    return 0


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines of a table."""
    return lines_of([HEAD, *map(_cells, rows)])


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    labels = ",".join(f"{name}={text}" for name, text in row["labels"].items())
    return (
        row["id"],
        f"{row['prefix']}...",
        row["tenant"],
        row["state"],
        row["created"],
        row["expires"] or "never",
        labels or "-",
        ",".join(row["networks"]) or "anywhere",
    )


@contextmanager
def _noted(path: Path) -> Iterator[Audit]:
    """Yield what takes changes, and write a line for each at the end of the block."""
    changes: list[tuple[str, dict[str, Any]]] = []
    try:
        yield lambda event, **fields: changes.append((event, fields))
    finally:
        if changes:
            _write(path, changes)


def _write(path: Path, changes: Sequence[tuple[str, dict[str, Any]]]) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except OSError as error:
        say(f"warning: {changes[0][0]}, but not noted: {path}: {error.strerror}")
        return
    try:
        with open_log(fd, clock=SystemClock(), is_terminal=False) as log:
            for event, fields in changes:
                log.info(event, **fields)
    finally:
        os.close(fd)


def _actor() -> str:
    """Return who runs this, as the system knows it."""
    uid = os.getuid()
    try:
        return f"cli: {pwd.getpwuid(uid).pw_name}"
    except KeyError:  # a user of a container, without a name
        return f"cli: {uid}"


async def _warn_of_other_peppers(keys: Keys, ours: str) -> None:
    others = sum(_differs(key, ours) for key in await keys.all())
    if others:
        what = f"{others} keys here were made with another pepper than this one"
        say(f"warning: {what}: is it the gateway's own `pepper`, or its --data?")


def _differs(key: IssuedKey, ours: str) -> bool:
    return key.revoked is None and key.pepper not in {"", ours}
