"""How a simulated provider behaves over time: pace, limits, errors and outages, without I/O.

Times are seconds since its start. Everything is decided when a request arrives, from the seed and
the request's number alone, so the same requests in the same order meet the same fate.
"""

from collections.abc import Sequence
from math import inf, log
from random import Random
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Share = Annotated[float, Meta(ge=0, le=1)]
Spread = Annotated[float, Meta(ge=0, le=3, description="Sigma of the lognormal spread.")]
Tail = Annotated[float, Meta(ge=0, le=1, description="Share of requests with a Pareto tail.")]
FirstToken = Annotated[Seconds, Meta(description="Median seconds to the first token.")]
Gap = Annotated[Seconds, Meta(description="Median seconds between tokens.")]

_PARETO_ALPHA: Final = 1.5
_SEED_STEP: Final = 1_000_003


class Fixed(Struct, frozen=True, forbid_unknown_fields=True, tag_field="law", tag="fixed"):
    """Every request takes exactly the stated times."""

    first_token: FirstToken = 0.0
    gap: Gap = 0.0

    def pauses(self, count: int, chance: Random) -> list[float]:
        """Return the pause before each of `count` tokens."""
        del chance
        return [self.first_token, *[self.gap] * (count - 1)]


class Lognormal(Struct, frozen=True, forbid_unknown_fields=True, tag_field="law", tag="lognormal"):
    """Times spread around their medians, with a share of very slow requests."""

    first_token: FirstToken
    gap: Gap = 0.0
    sigma: Spread = 0.5
    tail: Tail = 0.0

    def pauses(self, count: int, chance: Random) -> list[float]:
        """Return the pause before each of `count` tokens."""
        slow = chance.paretovariate(_PARETO_ALPHA) if chance.random() < self.tail else 1.0
        first = slow * _spread(self.first_token, self.sigma, chance)
        return [first, *(_spread(self.gap, self.sigma, chance) for _ in range(count - 1))]


class Saturating(
    Lognormal, frozen=True, forbid_unknown_fields=True, tag="saturating", kw_only=True
):
    """Lognormal, with room for `concurrency` requests; the others queue, first come first served.

    With c requests always in flight each one takes base x max(1, c / concurrency).
    """

    concurrency: Annotated[int, Meta(ge=1, le=100_000, description="Requests served at a time.")]


Latency = Fixed | Lognormal | Saturating


class RateLimit(Struct, frozen=True, forbid_unknown_fields=True):
    """Token buckets that refill over a minute, as OpenAI's and Anthropic's do."""

    requests: Annotated[
        Annotated[int, Meta(ge=1, le=10_000_000)] | None, Meta(description="Requests a minute.")
    ] = None
    tokens: Annotated[
        Annotated[int, Meta(ge=1, le=10_000_000_000)] | None,
        Meta(description="Tokens a minute, in and out."),
    ] = None


class Errors(Struct, frozen=True, forbid_unknown_fields=True):
    """A low error rate, broken by bursts: a two-state Markov chain. Weights need not sum to 1."""

    rate: Annotated[Share, Meta(description="Share of failing requests in calm times.")] = 0.003
    burst_rate: Annotated[Share, Meta(description="Share that fails in a burst.")] = 0.3
    calm: Annotated[Seconds, Meta(description="Mean seconds between bursts; 0 for none.")] = 600
    burst: Annotated[Seconds, Meta(description="Mean seconds of a burst.")] = 20
    busy: Annotated[Share, Meta(description="Weight of 429 with Retry-After.")] = 0.60
    broken: Annotated[Share, Meta(description="Weight of 500, 502, 503 and 529.")] = 0.25
    stall: Annotated[Share, Meta(description="Weight of answers that stop without a word.")] = 0.10
    reset: Annotated[Share, Meta(description="Weight of connections that break.")] = 0.05


class Window(Struct, frozen=True, forbid_unknown_fields=True):
    """A span of seconds since start, its end excluded."""

    start: Annotated[Seconds, Meta(description="Its first second.")]
    end: Annotated[Seconds, Meta(description="The first second behind it.")]

    def holds(self, elapsed: float) -> bool:
        """Whether `elapsed` lies in it."""
        return self.start <= elapsed < self.end


class Brownout(Window, frozen=True, forbid_unknown_fields=True):
    """A window in which everything takes `factor` times as long."""

    factor: Annotated[
        float, Meta(ge=1, le=1000, description="How many times as long everything takes.")
    ] = 5.0


class Behaviour(Struct, frozen=True, kw_only=True):
    """All laws of one provider."""

    seed: int = 0
    latency: Latency = Fixed()
    rate_limit: RateLimit | None = None
    errors: Errors | None = None
    outage: Literal["always"] | tuple[Window, ...] = ()
    brownouts: tuple[Brownout, ...] = ()


class Refused(Struct, frozen=True):
    """The request is turned away at once. Status 0: no connection at all."""

    status: int
    retry_after: float | None = None


class Served(Struct, frozen=True):
    """The request is worked on. `pauses[i]` precedes token i; infinity is a stall.

    `reset_at` is the token at which the connection breaks, None when it holds.
    """

    pauses: Sequence[float]
    reset_at: int | None = None


class Laws:
    """The provider's state: buckets, weather, and how many requests it has seen."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._seen = 0
        limit = behaviour.rate_limit or RateLimit()
        self._requests = _Bucket(limit.requests)
        self._tokens = _Bucket(limit.tokens)
        self._weather = _Weather(behaviour.errors, behaviour.seed)

    def decide(self, elapsed: float, *, asked: int, answered: int) -> Refused | Served:
        """Settle a new request's fate: `asked` tokens came in, `answered` would go out."""
        self._seen += 1
        chance = Random(self._behaviour.seed * _SEED_STEP + self._seen)  # noqa: S311 - simulation
        outage = self._behaviour.outage
        if outage == "always" or any(window.holds(elapsed) for window in outage):
            return Refused(0)
        wait = max(self._requests.wait(1, elapsed), self._tokens.wait(asked + answered, elapsed))
        if wait > 0:
            return Refused(429, wait)
        self._requests.take(1)
        self._tokens.take(asked + answered)
        return self._serve(elapsed, max(1, answered), chance)

    def _serve(self, elapsed: float, count: int, chance: Random) -> Refused | Served:
        pauses = self._behaviour.latency.pauses(count, chance)
        for brownout in self._behaviour.brownouts:
            if brownout.holds(elapsed):
                pauses = [pause * brownout.factor for pause in pauses]
        errors = self._behaviour.errors
        if errors is None or chance.random() >= self._weather.rate(elapsed):
            return Served(pauses)
        return _fail(errors, pauses, chance)


def _fail(errors: Errors, pauses: list[float], chance: Random) -> Refused | Served:
    weights = (errors.busy, errors.broken, errors.stall, errors.reset)
    if not any(weights):
        return Served(pauses)
    kind = chance.choices(("busy", "broken", "stall", "reset"), weights)[0]
    if kind == "busy":
        return Refused(429, chance.uniform(1, 10))
    if kind == "broken":
        return Refused(chance.choice((500, 502, 503, 529)))
    place = chance.choice((0, chance.randrange(len(pauses))))
    if kind == "stall":
        return Served([*pauses[:place], inf, *pauses[place + 1 :]])
    return Served(pauses, reset_at=place)


class _Bucket:
    """Holds up to a minute's worth. Without a size it never runs dry."""

    def __init__(self, size: int | None) -> None:
        self._size = inf if size is None else float(size)
        self._level = self._size
        self._at = 0.0

    def wait(self, amount: int, now: float) -> float:
        """Return the seconds until `amount` is there, 0 when it is. A full bucket always serves."""
        if self._size == inf:
            return 0.0
        self._level = min(self._size, self._level + (now - self._at) * self._size / 60)
        self._at = now
        return max(0.0, min(amount, self._size) - self._level) * 60 / self._size

    def take(self, amount: int) -> None:
        self._level -= amount


class _Weather:
    """Calm or burst; the times of change depend on the seed only."""

    def __init__(self, errors: Errors | None, seed: int) -> None:
        self._errors = errors or Errors(rate=0, calm=0)
        self._chance = Random(seed)  # noqa: S311 - simulation
        self._bad = False
        self._until = self._length(self._errors.calm) if self._errors.calm else inf

    def rate(self, elapsed: float) -> float:
        """Return the error rate at that time; time only moves forward."""
        while elapsed >= self._until:
            self._bad = not self._bad
            mean = self._errors.burst if self._bad else self._errors.calm
            self._until += self._length(mean)
        return self._errors.burst_rate if self._bad else self._errors.rate

    def _length(self, mean: float) -> float:
        return self._chance.expovariate(1 / mean) if mean else 0.0


def _spread(median: float, sigma: float, chance: Random) -> float:
    return chance.lognormvariate(log(median), sigma) if median else 0.0
