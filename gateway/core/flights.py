"""Single flight: of equal requests at the same time one is sent on, and the others wait for it."""

import asyncio
from collections import deque
from typing import Final, Generic, Protocol, TypeVar

T = TypeVar("T")

PROMOTIONS: Final = 2
"""So often one who waits takes the place of one who failed; then all go their own ways."""


class Begun(Protocol):
    """What a leader has begun and the next one can go on with."""

    def abandon(self) -> None:
        """End it: nobody is left to go on."""
        ...


class Flight(Generic[T]):
    """One question on its way, and those who wait for its answer."""

    __slots__ = ("_flights", "_key", "_promotions", "_waiting", "call")

    def __init__(self, flights: "Flights[T]", key: str) -> None:
        self._flights = flights
        self._key = key
        self._waiting: deque[asyncio.Future[T | Flight[T] | None]] = deque()
        self._promotions = 0
        self.call: Begun | None = None
        """What a leader who left has begun: the one who is promoted goes on with it."""

    @property
    def followed(self) -> bool:
        """Whether anybody waits."""
        return any(not each.done() for each in self._waiting)

    async def wait(self) -> "T | Flight[T] | None":
        """Return the answer; the flight itself for one who shall lead it now; None for nothing."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T | Flight[T] | None] = loop.create_future()
        self._waiting.append(future)
        try:
            return await future
        except asyncio.CancelledError:
            # Promoted and cancelled at the same moment: the next one shall have it.
            if future.done() and not future.cancelled() and future.result() is self:
                self.hand_over()
            raise

    def land(self, answer: T | None) -> None:
        """Give everybody the answer; None when each must find one alone."""
        self._flights.close(self._key, self)
        for future in self._waiting:
            if not future.done():
                future.set_result(answer)
        self._waiting.clear()

    def fail(self) -> None:
        """Let one of those who wait try it; after some times none."""
        self._promotions += 1
        if self._promotions > PROMOTIONS:
            self.land(None)
        else:
            self.hand_over()

    def hand_over(self) -> None:
        """Make the one who has waited longest the leader; without anybody it is over."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(self)
                return
        if self.call is not None:
            self.call.abandon()
        self.land(None)


class Flights(Generic[T]):
    """What is on its way, by key."""

    def __init__(self) -> None:
        self._open: dict[str, Flight[T]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def find(self, key: str) -> Flight[T] | None:
        """Return what is on its way already."""
        return self._open.get(key)

    def begin(self, key: str) -> Flight[T]:
        """Return a new flight, whose leader must end it."""
        flight = self._open[key] = Flight(self, key)
        return flight

    def close(self, key: str, flight: Flight[T]) -> None:
        """Let nobody join it any more."""
        if self._open.get(key) is flight:
            del self._open[key]
