"""New policies and tenants while requests run: read, checked and built before one swap."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from gateway.core.ports import Tools
from gateway.documents import Diagnostic, Invalid
from gateway.policy.load import Rules
from gateway.policy.setup import Setup
from gateway.policy.snapshot import Holder, build_snapshot
from gateway.policy.tenants import TENANTS
from gateway.policy.watch import look

TRIES: Final = 3
"""Reads, when files change under the reader."""


class Reloaded(Struct, frozen=True):
    """What a reload came to. `problems` are empty exactly when its content is in use."""

    version: str
    """Of what is in use now."""
    changed: bool
    problems: tuple[Diagnostic, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether what the files say is in use."""
        return not self.problems

    def report(self) -> Mapping[str, Any]:
        """Return it for people and programs, the problems as `turnout check` says them."""
        return {
            "ok": self.ok,
            "version": self.version,
            "changed": self.changed,
            "problems": list(self.problems),
            "warnings": list(self.warnings),
        }


class Reloader:
    """Takes new rules into use, one reload at a time. A bad file changes nothing but `last`."""

    def __init__(
        self, setup: Setup, holder: Holder, tools: Tools, tell: Callable[[Reloaded], None]
    ) -> None:
        """`tell` hears of every reload that changed something or failed in a new way."""
        self.last = Reloaded(version=holder.current.version, changed=False)
        self._rules = setup.rules
        self._read: Callable[[], Rules] = setup.reload
        self._folder = setup.folders.policies.path
        self._holder = holder
        self._tools = tools
        self._tell = tell
        self._turn = asyncio.Lock()

    async def reload(self) -> Reloaded:
        """Read the files and take them into use when they are right."""
        async with self._turn:
            before, self.last = self.last, await self._reload()
            if self.last.changed or self.last.problems != before.problems:
                self._tell(self.last)
            return self.last

    def report(self) -> Mapping[str, Any]:
        """Return what is in use, and for how many requests each version still is."""
        in_use = {version: count for version, count in self._holder.in_use.items() if count}
        return {**self.last.report(), "in_use": in_use}

    async def _reload(self) -> Reloaded:
        version = self._holder.current.version
        try:
            rules = await asyncio.to_thread(steady, self._folder, self._read)
            self._keep_tenants(rules)
        except Invalid as error:
            return Reloaded(version=version, changed=False, problems=error.problems)
        try:
            snapshot = build_snapshot(rules, self._tools)
        except Exception as error:  # noqa: BLE001 - whatever a stage's build raises, the old ones go on
            what = f"cannot be put to use: {type(error).__name__}: {error}."
            problem = Diagnostic(str(self._folder), 0, what)
            return Reloaded(version=version, changed=False, problems=(problem,))
        self._rules = rules
        changed = snapshot.version != version
        if changed:
            self._holder.swap(snapshot)
        return Reloaded(version=snapshot.version, changed=changed, warnings=rules.warnings)

    def _keep_tenants(self, rules: Rules) -> None:
        """Refuse to do without tenants.yaml: everyone with a key would get in again."""
        if rules.tenants is None and self._rules.tenants is not None:
            what = "is gone, and with it what tenants may not do. Put it back, or restart."
            raise Invalid([Diagnostic(str(self._folder / TENANTS), 0, what)])


def steady(folder: Path, read: Callable[[], Rules]) -> Rules:
    """Return what `read` returns when no file of the folder changed meanwhile. Raises Invalid."""
    for _ in range(TRIES):
        before = look(folder)
        failure, rules = None, None
        try:
            rules = read()
        except Invalid as error:
            failure = error
        if look(folder) != before:
            continue
        if failure is not None:
            raise failure
        if rules is not None:
            return rules
    raise Invalid([Diagnostic(str(folder), 0, "the files change while they are read.")])
