"""What is known of one target: whether it may be asked, how fast it is, how often it fails."""

from math import inf
from random import Random
from typing import Final, Protocol

from gateway.core.breaker import Breaker
from gateway.core.bulletin import Bulletin, Notice
from gateway.core.scores import FirstTokens, PeakEwma, Record

LONGEST_PAUSE: Final = 60.0
"""Seconds that a provider's Retry-After is believed at most; then one asks again."""
FIRST_BACKOFF: Final = 0.5
LONGEST_BACKOFF: Final = 20.0
WINDOW: Final = 10.0
PATIENCE: Final = 3.0
"""A first token is waited for so many times the 99th percentile of those that came."""
LEAST_PATIENCE: Final = 1.0
REMEMBERED: Final = 600.0
"""Seconds for which the longest answer tells what may be waited for."""
_SURE: Final = 2.0
"""Seconds after an answer in which no other process is believed that the target fails."""
_WORTH_TELLING: Final = 1.0
"""Seconds of a pause below which others need not hear of it."""
_BLAMED: Final = 4
"""Failures of one tenant that count while others fare well, in two windows: too few to open."""
_OTHERS: Final = 5
_FARE_WELL: Final = 0.25


class News(Protocol):
    """Hears what an operator should know."""

    def denied(self, provider: str, detail: str, /) -> None:
        """Take note: the provider refuses our key. Somebody must act."""
        ...

    def restored(self, provider: str, /) -> None:
        """Take note: the provider takes the key again that it had refused."""
        ...

    def opened(self, provider: str, model: str, seconds: float, /) -> None:
        """Take note: the target is left alone for so long."""
        ...

    def closed(self, provider: str, model: str, /) -> None:
        """Take note: the target serves again."""
        ...


class Key:
    """The health of one provider's block, and so of its key: whether it was refused."""

    __slots__ = ("breaker", "bulletin", "mark", "news", "provider")

    def __init__(
        self, provider: str, random: Random, news: News | None, bulletin: Bulletin
    ) -> None:
        self.provider = provider
        self.mark = ""
        """Tells it from other keys of the same provider."""
        self.breaker = Breaker(random)
        self.news = news
        self.bulletin = bulletin


class Probe:
    """What a request is the probe of."""

    __slots__ = ("key", "target")

    def __init__(self, target: bool, key: bool) -> None:
        self.target = target
        self.key = key


class Condition:
    """The health of one target: a model at one provider. Times are `Clock.monotonic()` seconds."""

    __slots__ = (
        *(
            "_before",
            "_blame",
            "_random",
            "_since",
            "_stepped_at",
            "_streak",
            "_told_until",
            "_credential",
            "_longest",
            "_longest_at",
            "answered_at",
            "breaker",
            "first_tokens",
        ),
        *("key", "model", "news", "outstanding", "paused_until", "provider", "record", "speed"),
        *("usual",),
    )

    def __init__(self, key: Key, model: str, random: Random) -> None:
        self.provider = key.provider
        self.model = model
        self.key = key.breaker
        self.news = key.news
        self._credential = key
        self._told_until = 0.0
        """Until when others know that it is paused."""
        self.breaker = Breaker(random)
        self.speed = PeakEwma()
        self.first_tokens = FirstTokens()
        self.usual: float | None = None
        """How long a first token may take here, from what was seen; None while that is little."""
        self.record = Record()
        self._longest = self._longest_at = 0.0
        """What took longest lately, and when that was."""
        self.outstanding = 0
        """Requests that are there now, streams until their end."""
        self.paused_until = 0.0
        self.answered_at = -WINDOW
        self._random = random
        self._streak = 0
        self._stepped_at = -inf
        self._blame: dict[str, list[int]] = {}
        """Tenant -> answers and failures since `_since`; `_before`: those of the window before."""
        self._before: dict[str, list[int]] = {}
        self._since = 0.0

    def available(self, now: float) -> bool:
        """Whether a request may go there now."""
        return (
            now >= self.paused_until
            and (self.breaker.closed or self.breaker.admits(now))
            and (self.key.closed or self.key.admits(now))
        )

    def better_than_nothing(self, now: float) -> bool:
        """Whether it is shut out for failing often, and still answers now and then."""
        breaker = self.breaker
        fails = not breaker.closed and not breaker.down
        return fails and now >= self.paused_until and self.key.closed

    def recovers_at(self, now: float) -> float:
        """Return when it may be asked again, as far as is known."""
        times = [self.paused_until, now]
        times += [each.until for each in (self.breaker, self.key) if not each.closed]
        return max(times)

    def enter(self, now: float) -> Probe | None:
        """Begin a request. Its end must be told with what is returned."""
        self.outstanding += 1
        if self.breaker.closed and self.key.closed:
            return None
        return Probe(self.breaker.enter(now), self.key.enter(now))

    def leave(self) -> None:
        """End a request, after its outcome was told."""
        self.outstanding -= 1

    def released(self, probe: Probe | None) -> None:
        """Tell that a request showed nothing: nobody was asked, or its caller left."""
        if probe is not None and probe.target:
            self.breaker.released()
        if probe is not None and probe.key:
            self.key.released()

    def answered(
        self,
        now: float,
        tenant: str,
        probe: Probe | None = None,
        seconds: float | None = None,
        *,
        first_token: bool = False,
    ) -> None:
        """Tell that the target answered, be it with a refusal.

        `seconds` is what the answer, or its first token, took.
        """
        self.answered_at = now
        self._streak = 0
        if seconds is not None:
            if seconds >= self._longest or now - self._longest_at > REMEMBERED:
                self._longest, self._longest_at = seconds, now
            self.speed.observe(seconds, now)
            if first_token:
                self._began(seconds)
        self.record.count(now, good=True)
        if now - self._since > WINDOW:
            self._turn(now)
        blame = self._blame.get(tenant)
        if blame is None:
            self._blame[tenant] = [1, 0]
        else:
            blame[0] += 1
        if probe is None:
            self.breaker.succeeded(now)
            return
        if probe.key:
            self.key.succeeded(now, probe=True)
            if self.news is not None:
                self.news.restored(self.provider)
        self.breaker.succeeded(now, probe=probe.target)
        if probe.target and self.news is not None:
            self.news.closed(self.provider, self.model)

    def late(self, seconds: float, now: float) -> bool:
        """Whether so long a wait is as long as any answer, or first token, took here lately."""
        longest = self._longest if now - self._longest_at <= REMEMBERED else 0.0
        return seconds >= max(LEAST_PATIENCE, longest)

    def waited(self, seconds: float, now: float, *, first_token: bool) -> None:
        """Tell how long an answer, or its first token, was waited for in vain."""
        self.speed.observe(seconds, now)
        if first_token:
            self._began(seconds)

    def _began(self, seconds: float) -> None:
        if self.first_tokens.observe(seconds):
            usual = self.first_tokens.quantile(0.99)
            self.usual = None if usual is None else max(LEAST_PATIENCE, PATIENCE * usual)

    def failed(self, now: float, tenant: str, probe: Probe | None, *, telling: bool) -> bool:
        """Tell that the target failed; `telling` is whether that may be held against it.

        Return whether the tenant is to blame instead, since its neighbours fare well here.
        """
        self.record.count(now, good=False)
        if now - self._since > WINDOW:
            self._turn(now)
        blame = self._blame.setdefault(tenant, [0, 0])
        blame[1] += 1
        if probe is not None and probe.key:
            self.key.released()
        openings = self.breaker.openings
        failures = blame[1] + self._before.get(tenant, (0, 0))[1]
        blamed = failures > _BLAMED and self._others_fare_well(tenant)
        weight = float(telling and not blamed)
        self.breaker.failed(now, weight, probe=probe is not None and probe.target)
        if self.breaker.openings > openings:
            seconds = self.breaker.until - now
            self._credential.bulletin.post(
                Notice("down" if self.breaker.down else "failing", *self._name, seconds)
            )
            if self.news is not None:
                self.news.opened(*self._name, seconds)
        return blamed

    def broke(self, now: float, tenant: str, answered: float) -> None:
        """Tell that an answer broke which was counted at that time: it is a failure instead."""
        self.breaker.retract(now, answered)
        self.record.retract()
        blame = self._blame.get(tenant)
        if blame is not None and blame[0] and answered >= self._since:
            blame[0] -= 1
        self.failed(now, tenant, None, telling=True)

    def denied(self, now: float, probe: Probe | None, detail: str) -> None:
        """Tell that the provider refused our key: all that uses it is left alone."""
        if probe is not None and probe.target:
            self.breaker.released()
        openings = self.key.openings
        self.key.trip(now)
        if self.key.openings > openings:
            key, seconds = self._credential, self.key.until - now
            key.bulletin.post(Notice("denied", self.provider, "", seconds, key.mark))
            if self.news is not None:
                self.news.denied(self.provider, detail)

    def pause(self, now: float, seconds: float | None, began: float = inf) -> None:
        """Leave it alone for as long as it asked for, or for a chance time that grows.

        `began` is when it was asked: refusals that were under way together are one step.
        """
        if seconds is None:
            if began < self._stepped_at:
                return
            self._stepped_at = now
            longest = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2**self._streak)
            seconds = self._random.uniform(0, longest)
            self._streak = min(self._streak + 1, 10)
        self.paused_until = max(self.paused_until, now + min(seconds, LONGEST_PAUSE))
        if self.paused_until - max(now, self._told_until) >= _WORTH_TELLING:
            self._told_until = self.paused_until
            key, left = self._credential, self.paused_until - now
            key.bulletin.post(Notice("paused", *self._name, left, key.mark))

    def hear(self, notice: Notice, now: float) -> bool:
        """Heed what another process found out; return False while this one knows better."""
        if notice.kind == "paused":
            if notice.mark == self._credential.mark:
                self._told_until = until = now + min(notice.seconds, LONGEST_PAUSE)
                self.paused_until = max(self.paused_until, until)
            return True
        if now - self.answered_at < _SURE and self.breaker.last_was_good:
            return False
        self.breaker.heed(now, notice.seconds, down=notice.kind == "down")
        return True

    @property
    def _name(self) -> tuple[str, str]:
        return self.provider, self.model

    def _turn(self, now: float) -> None:
        """Begin a new window; the last one is kept if it is not long ago."""
        fresh = now - self._since <= 2 * WINDOW
        self._before, self._blame = (self._blame if fresh else {}), {}
        self._since = now

    def _others_fare_well(self, tenant: str) -> bool:
        windows = (self._before, self._blame)
        others = [c for window in windows for name, c in window.items() if name != tenant]
        good, bad = sum(c[0] for c in others), sum(c[1] for c in others)
        return good + bad >= _OTHERS and bad < _FARE_WELL * (good + bad)
