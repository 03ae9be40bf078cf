"""A clock that only moves when told to, and wakes sleepers in order."""

import asyncio

from gateway.trial.clock import TrialClock


class FakeClock(TrialClock):
    def __init__(self, start: float = 1_000.0) -> None:
        super().__init__(wall=1_700_000_000.0)
        self.now = start
        self.stepped = 0.0
        """Seconds by which the wall clock was set off."""

    def wall(self) -> float:
        return super().wall() + self.stepped

    async def advance(self, seconds: float) -> None:
        """Move time; whoever is due runs, in order, and gets a few turns of the loop."""
        end = self.now + seconds
        await settle()
        while self.move_on(end):
            await settle()
        self.now = end
        await settle()


async def settle(turns: int = 10) -> None:
    """Let everything that is ready run."""
    for _ in range(turns):
        await asyncio.sleep(0)
