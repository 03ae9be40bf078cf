"""What this process has learnt of its targets: one object that outlives every reload."""

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any, Final, Protocol
from weakref import WeakValueDictionary

from gateway.core.bulletin import Alone, Bulletin, Notice
from gateway.core.condition import Condition, Key, News
from gateway.core.errors import GatewayError, Retry, UpstreamBusy, UpstreamDenied
from gateway.core.retry_budget import RetryBudget
from gateway.core.suspects import Suspects

_TOO_MANY: Final = 429


class Ordered(Protocol):
    """A stage that chooses among targets."""

    def standings(self, now: float, /) -> Sequence[Mapping[str, Any]]:
        """Return in which order they stand at a time, for people."""
        ...


class Health:
    """Every target's condition, every pool's retry budget, and the requests under suspicion."""

    def __init__(
        self, random: Random, news: News | None = None, bulletin: Bulletin | None = None
    ) -> None:
        self.suspects = Suspects()
        self._bulletin = bulletin or Alone()
        self._heard: set[str] = set()
        """The notices that were heeded and still hang there."""
        self._marks: dict[str, str] = {}
        self._random = random
        self._news = news
        self._keys: dict[str, Key] = {}
        self._conditions: dict[tuple[str, str], Condition] = {}
        self._budgets: dict[frozenset[str], RetryBudget] = {}
        self._shown: WeakValueDictionary[int, Ordered] = WeakValueDictionary()

    def condition(self, provider: str, model: str) -> Condition:
        """Return what is known of a target, the same object every time."""
        found = self._conditions.get((provider, model))
        if found is None:
            key = self._keys.get(provider)
            if key is None:
                key = Key(provider, self._random, self._news, self._bulletin)
                key.mark = self._marks.get(provider, "")
                self._keys[provider] = key
            found = self._conditions[provider, model] = Condition(key, model, self._random)
        return found

    def budget(self, providers: frozenset[str], now: float) -> RetryBudget:
        """Return the retry budget of a pool: of the providers that one stage chooses among."""
        found = self._budgets.get(providers)
        if found is None:
            found = self._budgets[providers] = RetryBudget(now)
        return found

    def show(self, stage: Ordered) -> None:
        """Have the order of a stage's targets be reported for as long as the stage is used."""
        self._shown[id(stage)] = stage

    def keyed(self, provider: str, mark: str) -> None:
        """Take note of which key a provider is sent; another than before is tried at once."""
        before, self._marks[provider] = self._marks.get(provider, mark), mark
        key = self._keys.get(provider)
        if key is not None:
            key.mark = mark
            if before != mark:
                key.breaker.shown_well()

    def hear(self, notices: Sequence[Notice], now: float) -> None:
        """Heed what other processes found out, each notice once however often it is told."""
        heeded = {each.id for each in notices if each.id in self._heard or self._heed(each, now)}
        self._heard = heeded

    def _heed(self, notice: Notice, now: float) -> bool:
        """Return whether a notice need not be looked at again."""
        if notice.kind == "denied":
            key = self._keys.get(notice.provider)
            if key is not None and key.mark == notice.mark:
                key.breaker.heed(now, notice.seconds, down=True)
            return key is not None
        condition = self._conditions.get((notice.provider, notice.model))
        return condition is not None and condition.hear(notice, now)

    def conditions(self) -> Iterator[Condition]:
        """Yield every target that some policy has named, the oldest first."""
        yield from self._conditions.values()

    def budgets(self) -> Iterator[tuple[str, RetryBudget]]:
        """Yield every pool by the names of its providers."""
        for providers, budget in self._budgets.items():
            yield ",".join(sorted(providers)), budget

    def report(self, now: float) -> Mapping[str, Any]:
        """Return it all for people and programs; times are seconds from now."""
        return {
            "targets": [_shown(each, now) for each in self.conditions()],
            "budgets": [
                {
                    "providers": name,
                    "tokens": round(budget.level(now), 1),
                    "granted": budget.granted,
                    "refused": budget.refused,
                    "hedged": budget.hedges.started,
                    "hedges_won": budget.hedges.won,
                    "hedges_lost": budget.hedges.lost,
                    "hedges_usd": budget.hedges.micro_dollars / 1e6,
                }
                for name, budget in self.budgets()
            ],
            "orders": self._orders(now),
            "suspects": len(self.suspects.known),
            "quarantined": self.suspects.quarantined,
        }

    def _orders(self, now: float) -> Sequence[Mapping[str, Any]]:
        """Return the order of every list of targets, each list once."""
        orders: list[Mapping[str, Any]] = []
        for stage in list(self._shown.values()):
            orders += [each for each in stage.standings(now) if each not in orders]
        return orders


def is_key_trouble(error: GatewayError) -> bool:
    """Whether no wait helps, only an operator: our key is refused, or its quota used up."""
    quota = isinstance(error, UpstreamBusy) and error.retry is Retry.OTHER
    return quota or isinstance(error, UpstreamDenied)


def is_strike(error: GatewayError) -> bool:
    """Whether a failure is held against the target: its rate limit is not."""
    return not (isinstance(error, UpstreamBusy) and error.provider_status == _TOO_MANY)


def _shown(condition: Condition, now: float) -> Mapping[str, Any]:
    breaker, first = condition.breaker, condition.first_tokens
    return {
        "provider": condition.provider,
        "model": condition.model,
        "breaker": breaker.state(now),
        "probe_in": None if breaker.closed else round(max(0.0, breaker.until - now), 3),
        "openings": breaker.openings,
        "key": "good" if condition.key.closed else "refused",
        "paused_for": round(max(0.0, condition.paused_until - now), 3),
        "outstanding": condition.outstanding,
        "ttft_ewma": round(condition.speed.seconds, 4),
        "ttft_p50": _rounded(first.quantile(0.5)),
        "ttft_p95": _rounded(first.quantile(0.95)),
        "first_token_timeout": _rounded(condition.usual),
        "tries": round(condition.record.tries, 1),
        "success_bound": round(condition.record.bound(), 4),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
