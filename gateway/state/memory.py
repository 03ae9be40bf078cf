"""State in this process alone: gone with it, shared with nobody."""

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar, Final

from msgspec.structs import replace

from gateway.core.bulletin import Alone
from gateway.core.ports import Clock, Runtime
from gateway.core.state import (
    Decision,
    IssuedKey,
    Lease,
    LedgerRow,
    RequestRow,
    Reserve,
    State,
    Sums,
)
from gateway.state.accounts import Accounts
from gateway.state.answers_memory import MemoryAnswers
from gateway.state.audits_memory import MemoryAudits
from gateway.state.base import SWEEP, Bytes, StateConfig
from gateway.state.tallies import SharedTallies
from gateway.state.tallies_memory import in_memory

TRIAL: Final = 16 << 20
"""Bytes of answers in a store that lives no longer than some requests."""
ROWS: Final = 10_000
"""The newest requests that the ledger of this store remembers."""


class MemoryConfig(StateConfig, frozen=True, tag="memory", kw_only=True):
    """Nothing is kept: for trials and tests, with one worker."""

    shared: ClassVar[bool] = False

    answers: Bytes = 256 << 20

    @asynccontextmanager
    async def open(self, runtime: Runtime, data: Path) -> AsyncIterator[State]:
        """Open an empty store."""
        del data
        limiter = MemoryLimiter(runtime.clock)
        answers = MemoryAnswers(limiter.now, self.answers)
        tallies = SharedTallies(in_memory(), limiter.now, runtime.clock)
        tasks = [
            runtime.spawn("sweep limits", limiter.keep_swept()),
            runtime.spawn("sweep answers", answers.keep_swept(runtime.clock)),
            runtime.spawn("add up tallies", tallies.keep_current()),
        ]
        try:
            yield _around(limiter, answers, tallies)
        finally:
            for task in tasks:
                task.cancel()


def memory_state(clock: Clock) -> State:
    """Return an empty store that nobody sweeps, for what lives no longer than some requests."""
    limiter = MemoryLimiter(clock)
    tallies = SharedTallies(in_memory(), limiter.now, clock)
    return _around(limiter, MemoryAnswers(limiter.now, TRIAL), tallies)


def _around(limiter: "MemoryLimiter", answers: MemoryAnswers, tallies: SharedTallies) -> State:
    stores = (limiter, MemoryKeys(), MemoryLedger(), Alone(), answers, MemoryAudits())
    return State(*stores, tallies, problem=str)


class MemoryLimiter:
    """Limits counted in dictionaries. Nothing here waits."""

    def __init__(self, clock: Clock) -> None:
        self.accounts = Accounts()
        self._clock = clock
        self._uptime = clock.uptime
        # Taken once: when the wall clock is set later, windows do not move.
        self._start = clock.wall() - clock.uptime()

    def now(self) -> float:
        return self._start + self._uptime()

    async def reserve(self, request: Reserve, /) -> Decision:
        return self.accounts.reserve(request, self._start + self._uptime())

    def lower(self, lease: Lease, amounts: Sequence[int], /) -> None:
        self.accounts.lower(lease.id, amounts, self.now())

    def settle(self, lease: Lease, used: Sequence[int] | None, /) -> None:
        self.accounts.settle(lease.id, used, self._start + self._uptime())

    def release(self, lease: Lease, /) -> None:
        self.accounts.release(lease.id, self.now())

    async def flush(self) -> None:
        """Return: nothing is ever left behind."""

    def sweep(self) -> None:
        """Charge leases that are over and drop counters that are as good as new, some at a time."""
        self.accounts.sweep(self.now())

    async def keep_swept(self) -> None:
        """Sweep until cancelled."""
        while True:
            await self._clock.sleep(SWEEP)
            self.sweep()


class MemoryKeys:
    """Issued keys in a dictionary."""

    def __init__(self) -> None:
        self._keys: dict[str, IssuedKey] = {}
        self._followers: list[Callable[[Sequence[IssuedKey]], None]] = []

    async def create(self, key: IssuedKey, /) -> None:
        taken = any(key.digest == other.digest for other in self._keys.values())
        if taken or key.id in self._keys:
            raise ValueError(f"the key {key.id} is there already")
        self._keys[key.id] = key
        self._tell()

    async def revoke(self, name: str, at: float, /) -> bool:
        key = self._keys.get(name)
        if key is not None and key.revoked is None:
            self._keys[name] = replace(key, revoked=at)
            self._tell()
        return key is not None

    async def all(self) -> Sequence[IssuedKey]:
        return tuple(self._keys.values())

    def follow(self, callback: Callable[[Sequence[IssuedKey]], None], /) -> None:
        self._followers.append(callback)
        callback(tuple(self._keys.values()))

    def _tell(self) -> None:
        for callback in self._followers:
            callback(tuple(self._keys.values()))


class MemoryLedger:
    """The newest rows; the sums are those of the newest ROWS requests."""

    def __init__(self) -> None:
        self._requests: deque[RequestRow] = deque(maxlen=ROWS)
        self._seen: set[str] = set()

    def record(self, rows: Sequence[LedgerRow], /) -> None:
        for row in rows:
            if type(row) is RequestRow and row.id not in self._seen:
                if len(self._requests) == ROWS:
                    self._seen.discard(self._requests[0].id)
                self._requests.append(row)
                self._seen.add(row.id)

    async def sums(self, since: float, /) -> Mapping[str, Sums]:
        sums: dict[str, Sums] = {}
        for row in self._requests:
            if row.at < since:
                continue
            before = sums.get(row.tenant, Sums())
            sums[row.tenant] = Sums(
                requests=before.requests + 1,
                input=before.input + row.input,
                output=before.output + row.output,
                micro_dollars=before.micro_dollars + (row.micro_dollars or 0),
                unpriced=before.unpriced + (row.micro_dollars is None),
            )
        return sums

    async def flush(self) -> None:
        """Return: nothing is ever left behind."""
