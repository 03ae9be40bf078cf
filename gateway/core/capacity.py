"""Slots at the targets: who may be sent now, who waits, and who is told to come back later.

One for the process; policies come and go. A target is a provider and its own name for a model.
"""

from collections.abc import Hashable, Iterator, Mapping
from math import inf
from random import Random
from typing import Annotated, Final

from msgspec import Meta, Struct

from gateway.core.catalogue import Model
from gateway.core.concurrency import STREAM, AdaptiveLimit, Cohort, Sample
from gateway.core.errors import Overloaded, UpstreamBusy, UpstreamTimeout
from gateway.core.exchange import Caller
from gateway.core.fair_queue import FairQueue, Shed, Time
from gateway.core.reply import Tally, Usage

JITTER: Final = 0.2
"""Clients that were refused together do not come back together, and none too early."""
LONGEST: Final = 50.0
"""Seconds that anybody is told to stay away, before the jitter: SDKs ignore more than 60."""
_UNKNOWN: Final = 1.0
_SMOOTH: Final = 1 / 8
_DEADLINE: Final = "upstream_timeout"


class Concurrency(Struct, frozen=True, forbid_unknown_fields=True):
    """How many requests each model of a provider may have at once, in each worker process."""

    max: Annotated[int, Meta(ge=1, le=100_000, description="Never more than this at once.")] = 1000
    adaptive: Annotated[
        bool,
        Meta(description="Send less where more only takes longer; it begins with 100."),
    ] = True
    queue: Annotated[
        int,
        Meta(
            ge=0, le=100_000, description="So many may wait for a place; 0: none, refused at once."
        ),
    ] = 200


class Slot:
    """A request's place at its target, given back once, by whichever method says that it ended."""

    __slots__ = ("_among", "_cohort", "_open", "_sent", "_slots")

    def __init__(self, slots: "Slots", among: int) -> None:
        self._slots = slots
        self._among = among
        self._sent = slots.now()
        self._open = True
        self._cohort = None if slots.adaptive is None else slots.adaptive.send(self._sent, among)

    def began(self) -> None:
        """Tell that a stream's first token is there."""
        if self._cohort is not None:
            self._slots.learn(self._cohort, self._sample(STREAM))
            self._cohort = None

    def ended(self, tally: Tally) -> None:
        """Tell that the stream is over, and give the place back unless that is done."""
        adaptive = self._slots.adaptive
        if self._open and adaptive is not None and tally.clean:
            adaptive.streamed(tally.waited, tally.blocks - 1)
        self.back()

    def answered(self, usage: Usage | None) -> None:
        """Tell that the whole answer is there, and give the place back."""
        if self._cohort is not None:
            shape = usage.output.bit_length() // 2 if usage else None
            self._slots.learn(self._cohort, self._sample(shape))
            self._cohort = None
        self.back()

    def failed(self, error: BaseException) -> None:
        """Tell that there is no answer, and give the place back.

        "Too much" and timeouts count against the target, the request's own deadline does not.
        """
        late = isinstance(error, UpstreamTimeout) and error.code != _DEADLINE
        if self._cohort is not None and (late or isinstance(error, UpstreamBusy)):
            self._slots.learn(self._cohort, Sample(None, inf, self._among, self._sent))
            self._cohort = None
        self.back()

    def back(self) -> None:
        """Give the place to the next one, unless that is done."""
        if self._open:
            self._open = False
            if self._cohort is not None:
                self._slots.learn(self._cohort, None)
            # All in one function: this and `take` are what a request pays where a slot is free.
            slots = self._slots
            held = slots.now() - self._sent
            slots.held += (held - slots.held) * _SMOOTH if slots.held else held
            slots.in_use -= 1
            if slots.turns:
                slots.hand_on()

    def _sample(self, shape: Hashable) -> Sample:
        return Sample(shape, self._slots.now() - self._sent, self._among, self._sent)


class Slots:
    """The places at one target and the queue for them.

    `limit` is how many may be in use now, `held` for how many seconds one is, on average.
    """

    def __init__(self, rule: Concurrency, clock: Time, random: Random) -> None:
        self.now = clock.monotonic
        self.adaptive = AdaptiveLimit(rule.max) if rule.adaptive else None
        self.limit = rule.max if self.adaptive is None else self.adaptive.limit
        self.in_use = 0
        self._random = random
        self._queue = FairQueue(clock, most=rule.queue, unused=self._unused)
        self.turns = self._queue.turns  # its truth value is asked for by every request
        self.held = 0.0
        self._promised = 0.0

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self.turns)

    @property
    def full(self) -> bool:
        """Whether who comes now must wait."""
        return self.in_use >= self.limit or bool(self.turns)

    def take(self) -> Slot | None:
        """Return a place if one is free and nobody waits for it."""
        if self.in_use >= self.limit or self.turns:
            return None
        self.in_use += 1
        return Slot(self, self.in_use)

    async def wait(self, caller: Caller, cost: int, deadline: float) -> Slot:
        """Return a place as soon as it is this caller's turn. Raises Overloaded.

        `cost` is in tokens. It is refused at once if its turn would come too late for an answer
        to begin before `deadline`, and where there is no room to wait.
        """
        until = deadline - (0.0 if self.adaptive is None else self.adaptive.begins)
        ahead = self._queue.ahead(caller.tenant, caller.priority, cost)
        if self.now() + (ahead + 1) * self._every() > until:
            raise self._overloaded("its turn would come too late")
        try:
            await self._queue.turn(caller.tenant, caller.priority, cost, until)
        except Shed as error:
            raise self._overloaded(str(error)) from error
        return Slot(self, self.in_use)

    def learn(self, cohort: Cohort, sample: Sample | None) -> None:
        """Take in what became of a request; more room is given away at once."""
        if self.adaptive is not None:
            self.adaptive.settle(self.now(), cohort, sample)
            self.limit = self.adaptive.limit
            self.hand_on()

    def hand_on(self) -> None:
        """Give what is free to those who wait."""
        while self.in_use < self.limit and self._queue.next():
            self.in_use += 1

    def _unused(self) -> None:
        self.in_use -= 1
        self.hand_on()

    def _every(self) -> float:
        """Return the seconds from one place that gets free to the next, 0 while unknown."""
        return self.held / self.limit

    def _overloaded(self, why: str) -> Overloaded:
        """Return the refusal. Each one is promised a moment behind those promised before it."""
        every = self._every() or _UNKNOWN / self.limit
        drained = self.now() + (self.waiting + 1) * every
        self._promised = min(max(self._promised + every, drained), self.now() + LONGEST)
        jitter = self._random.uniform(1, 1 + JITTER)
        return Overloaded(
            "This model has as many requests as it can take. Try again later.",
            detail=f"{self.in_use} in use of {self.limit}, {self.waiting} waiting: {why}",
            retry_after=(self._promised - self.now()) * jitter,
        )


class Capacity:
    """The slots of every target that was asked. `rules` are by provider."""

    def __init__(
        self, clock: Time, random: Random, rules: Mapping[str, Concurrency] | None = None
    ) -> None:
        self._clock = clock
        self._random = random
        self._rules = rules or {}
        self._targets: dict[tuple[str, str], Slots] = {}
        self._models: dict[tuple[str, str], Slots] = {}

    def at(self, model: Model) -> Slots:
        """Return the slots of the target that serves `model`."""
        return self._models.get((model.provider, model.name)) or self._open(model)

    def targets(self) -> Iterator[tuple[str, str, Slots]]:
        """Yield provider, its name for the model, and slots of every target asked so far."""
        for (provider, name), slots in self._targets.items():
            yield provider, name, slots

    def _open(self, model: Model) -> Slots:
        target = model.provider, model.upstream_name
        slots = self._targets.get(target)
        if slots is None:
            rule = self._rules.get(model.provider, Concurrency())
            slots = self._targets[target] = Slots(rule, self._clock, self._random)
        self._models[model.provider, model.name] = slots
        return slots
