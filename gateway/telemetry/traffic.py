"""The traffic log: a bounded queue and a thread that masks and writes, so that no request waits."""

import asyncio
import threading
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from math import inf
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.core import wire
from gateway.core.assemble import assembler_for
from gateway.core.traffic import Keep, Seen
from gateway.telemetry.traffic_files import TrafficFiles

FOLDER: Final = "traffic"
QUEUE: Final = 1_000
QUEUE_BYTES: Final = 32 << 20
"""What is held for a thread that is behind; what there is no room for is lost, and counted."""
GATHER: Final = 0.05
"""Seconds for which lines are gathered into one write."""
BATCH: Final = 100
SWEEP: Final = 60.0
"""Seconds between two looks for what is too old or too much."""
PATIENCE: Final = 5.0
"""Seconds that the end of the process waits for what is queued."""

REST: Final = 0.0005
"""Seconds for which the thread lets others run after a piece of text; it has no need to hurry."""

Masked = Callable[[Any, Callable[[], object]], Any]


class Traffic(Collector):
    """Writes lines in the background. `counts` tells what became of them.

    written; lost (no room in the queue); large; failed (not written, or not deleted).
    """

    def __init__(
        self, files: TrafficFiles, masked: Masked, wall: Callable[[], float], size: int = QUEUE
    ) -> None:
        """`masked` returns a JSON value without secrets, and calls back to let others run.

        `wall` returns the seconds since 1970.
        """
        self._files = files
        self._masked = masked
        self._wall = wall
        self._size = size
        self._queue: deque[Seen] = deque()
        self._taken = self._done = 0  # bytes, each counted by one thread alone
        self._kept: dict[str, Keep] = {}
        self._swept = -inf
        self._unswept = 0
        self._work = threading.Event()
        self._closing = threading.Event()
        self.counts = Counter(dict.fromkeys(("written", "lost", "large", "failed"), 0))
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
        self._thread.start()

    def put(self, seen: Seen, /) -> None:
        """Queue a line. Never blocks; only for the loop's thread."""
        size = seen.size
        if len(self._queue) >= self._size or self._taken - self._done + size > QUEUE_BYTES:
            self.counts["lost"] += 1
            return
        self._taken += size
        self._queue.append(seen)
        if not self._work.is_set():
            self._work.set()

    def too_large(self) -> None:
        """Count a request that is larger than what is kept."""
        self.counts["large"] += 1

    def close(self, patience: float) -> None:
        """Write what is queued, for at most `patience` seconds, and stop."""
        self._closing.set()
        self._work.set()
        self._thread.join(patience)

    def collect(self) -> Iterator[Metric]:
        """Yield the one family."""
        family = CounterMetricFamily(
            "turnout_recorded_requests",
            "Requests for the traffic log: written, lost (no room), large, failed.",
            labels=("what",),
        )
        for what, count in dict(self.counts).items():
            family.add_metric((what,), count)
        yield family

    def _run(self) -> None:
        closing = False
        while not closing:
            self._work.wait(SWEEP if self._kept or self._files.there else None)
            closing = self._closing.wait(GATHER)
            self._work.clear()
            while self._queue:
                self._write([self._queue.popleft() for _ in range(min(len(self._queue), BATCH))])
            self._sweep()

    def _write(self, batch: Sequence[Seen]) -> None:
        """Write lines, those of one policy and tenant at once."""
        groups: dict[tuple[str, str], list[Seen]] = defaultdict(list)
        for seen in batch:
            groups[seen.record.policy, seen.record.tenant].append(seen)
        for (policy, tenant), group in groups.items():
            keep = self._kept[policy] = group[-1].keep
            lines = [line for line in map(self._line, group) if line]
            data = b"".join(lines)
            try:
                self._files.append(policy, tenant, keep, data, self._wall())
                self.counts["written"] += len(lines)
            except OSError:
                self.counts["failed"] += len(lines)
            self._unswept += len(data)
            if self._unswept >= keep.size // 16:
                self._swept = -inf
                self._sweep()
        self._done += sum(seen.size for seen in batch)

    def _line(self, seen: Seen) -> bytes:
        """Return the line, nothing where it cannot be made."""
        try:
            request = self._masked(wire.decode(seen.request), self._rest)
            answer = self._masked(_whole(seen), self._rest)
            headers = self._masked(seen.record.headers, self._rest)
            record = replace(seen.record, request=request, answer=answer, headers=headers)
            return wire.encode(record) + b"\n"
        except Exception:  # noqa: BLE001 - one odd request must not end the log
            self.counts["failed"] += 1
            return b""

    def _rest(self) -> None:
        """Let the loop run: it would wait 5 ms for a thread that does not let go by itself."""
        if not self._closing.is_set():
            self._closing.wait(REST)

    def _sweep(self) -> None:
        now = self._wall()
        if now - self._swept < SWEEP:
            return
        self._swept, self._unswept = now, 0
        try:
            self._files.sweep(self._kept, now)
        except OSError:
            self.counts["failed"] += 1


def _whole(seen: Seen) -> Any:  # noqa: ANN401 - JSON
    """Return the whole answer, also of a stream; None where there is none that makes sense."""
    if not seen.answer:
        return None
    try:
        if not seen.stream:
            return wire.decode(b"".join(seen.answer))
        assembler = assembler_for(seen.record.endpoint)
        for block in seen.answer:
            assembler.feed(block)
        return wire.decode(assembler.finish()[0])
    except ValueError:
        return None


@asynccontextmanager
async def open_traffic(
    data: Path, masked: Masked, wall: Callable[[], float], worker: str
) -> AsyncIterator[Traffic]:
    """Yield the traffic log below `data`; at the end of the block what is queued is written."""
    files = TrafficFiles(data / FOLDER, worker)
    traffic = await asyncio.to_thread(Traffic, files, masked, wall)
    try:
        yield traffic
    finally:
        await asyncio.to_thread(traffic.close, PATIENCE)
