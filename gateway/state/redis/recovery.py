"""Watches over the connection to Redis: finds it, finds it again, and mends what it lost."""

import logging
from typing import Final

from gateway.core import wire
from gateway.core.errors import StateUnavailable
from gateway.core.ports import Runtime
from gateway.state.base import SWEEP
from gateway.state.meter_file import MeterFile, Sum
from gateway.state.redis.keys import RedisKeys
from gateway.state.redis.limiter import RedisLimiter
from gateway.state.redis.link import Link, Rejected, Unreachable
from gateway.state.redis.scripts import POLL, RESTORE
from gateway.state.redis.words import EPOCH

LOOK: Final = 0.5
"""Seconds between two looks at Redis, be it there or not."""
GATHERING: Final = 1.0
"""Seconds that a new life of the store waits for every node to bring what it knows."""
FEW: Final = 3
"""Losses within WINDOW after which it is given PAUSE seconds before it is used again."""
WINDOW: Final = 10.0
PAUSE: Final = 1.5
CHUNK: Final = 500
"""Sums in one call."""
MEANWHILE: Final = (
    "budgets go by local leases, other limits by each process alone; keys stay as they were, "
    "revocations wait"
)
_log = logging.getLogger(__name__)


class Recovery:
    """One task that connects, polls, and decides whether the limiter goes by Redis."""

    def __init__(
        self,
        limiter: RedisLimiter,
        keys: RedisKeys,
        link: Link,
        *,
        meter: MeterFile,
        runtime: Runtime,
    ) -> None:
        self.problem = ""
        self._limiter = limiter
        self._keys = keys
        self._link = link
        self._meter = meter
        self._clock = runtime.clock
        self._new_id = runtime.new_id
        self._node = ""
        self._restored = ""
        self._joining = False
        self._restoring = False
        self._sums: list[Sum] | None = None
        self._losses: list[float] = []

    async def start(self) -> None:
        """Read what this node knows, and look for Redis once. Raises StateUnavailable."""
        self._node, self._restored = await self._meter.node(self._new_id())
        await self._keys.start()
        await self.look()

    async def watch(self) -> None:
        """Look again and again until cancelled."""
        swept = self._clock.monotonic()
        while True:
            await self._wait()
            await self.look()
            if self._clock.monotonic() - swept >= SWEEP:
                swept = self._clock.monotonic()
                self._limiter.sweep()

    async def look(self) -> None:
        """See how Redis is, and have the limiter go by it or not."""
        try:
            if not self._link.connected:
                await self._link.connect()
            answer = await self._link.ask(POLL, self._new_id())
            epoch, moment, version = answer.split(" ")
            self._limiter.start = float(moment) - self._clock.uptime()
            waiting = await self._adopt(epoch, float(moment))
            if waiting:
                self._stands(f"redis is rebuilt from what every node knows: {MEANWHILE}")
                return
            await self._keys.look(version)
        except (Unreachable, Rejected, StateUnavailable, ValueError) as error:
            self._limiter.down = True
            self._stands(f"redis does not answer ({error}): {MEANWHILE}")
            return
        if self._limiter.down:
            self._limiter.resume(self._new_id())
        self._stands("")

    async def _adopt(self, epoch: str, moment: float) -> bool:
        """Join a life of the store; tell whether others may still have something to bring."""
        limiter, link = self._limiter, self._link
        if epoch != link.epoch:
            # Whoever never knew another life of the store has no others to wait for.
            self._joining = bool(link.epoch or self._restored)
            limiter.down = True
            limiter.forget_confirmations()
            self._restoring = bool(link.epoch) or epoch != self._restored
            self._sums = None
            link.epoch = epoch
        if self._restoring:
            await self._restore(epoch, moment)
        self._joining = self._joining and moment - float(epoch.partition("-")[0]) < GATHERING
        return self._joining

    async def _restore(self, epoch: str, moment: float) -> None:
        """Bring what this node charged and which keys it knows, each once."""
        if self._sums is None:
            # What was settled up to now is in these sums, so it must not be told as well.
            self._limiter.outbox.clear()
            self._sums = list(await self._meter.sums(moment))
        for start in range(0, len(self._sums), CHUNK):
            chunk = wire.encode(self._sums[start : start + CHUNK])
            if await self._link.ask(RESTORE, self._node, chunk) == EPOCH:
                raise Unreachable("it lost its data again", sent=False)
        await self._keys.restore()
        await self._meter.restored(epoch)
        self._restored, self._restoring, self._sums = epoch, False, None

    async def _wait(self) -> None:
        """Wait for the next look: not long when a call was lost, unless that happens often."""
        now, lost = self._clock.monotonic(), self._limiter.lost
        self._losses = [moment for moment in self._losses if now - moment < WINDOW]
        lost.clear()
        if self.problem:
            await self._clock.sleep(LOOK)
        elif len(self._losses) >= FEW:
            await self._clock.sleep(PAUSE)
        else:
            timer = self._clock.after(LOOK, lost.set)
            await lost.wait()
            timer.cancel()
            if self._limiter.down:
                self._losses.append(now)

    def _stands(self, problem: str) -> None:
        """Note how it stands, and log it when that is news."""
        if problem and not self.problem:
            _log.warning(problem)
        elif self.problem and not problem:
            _log.warning("redis answers again")
        self.problem = problem
