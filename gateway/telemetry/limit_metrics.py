"""Metrics of limits: what was refused, held, charged, and used beyond what was allowed."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.core.charge import Charge
from gateway.core.notes import Limited
from gateway.core.outcome import Outcome
from gateway.telemetry.names import Names


class LimitMetrics(Collector):
    """What one worker has counted since it started."""

    def __init__(self) -> None:
        self._tenants, self._limits, self._models = Names(), Names(), Names()
        self._refused: Counter[str] = Counter()
        self._observed: Counter[str] = Counter()
        self._counted: Counter[str] = Counter()
        self._reserved: Counter[str] = Counter()
        self._charged: Counter[str] = Counter()
        self._overruns: Counter[str] = Counter()

    def observe(self, outcome: Outcome, charge: Charge) -> bool:
        """Count a finished request; tell whether its answer was longer than it may have been."""
        facts = outcome.facts
        if facts.attempts:
            self._counted[charge.counted] += 1
        if not facts.limited:
            return False
        for note in facts.limited:
            if note.exceeded:
                self._exceed(note)
        held, amounts = facts.limited[0].reserved, charge.amounts
        if held is None:
            return False
        if held.micro_dollars is not None:
            tenant = self._tenants[outcome.caller.tenant]
            self._reserved[tenant] += held.micro_dollars
            self._charged[tenant] += amounts.micro_dollars or 0
        if amounts.output <= held.output or not held.stated or charge.counted != "provider":
            return False
        self._overruns[self._models[facts.model]] += 1
        return True

    def _exceed(self, note: Limited) -> None:
        if note.refused:
            self._refused[self._limits[note.refused]] += 1
            return
        for title in note.exceeded:
            self._observed[self._limits[title]] += 1

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        yield _family(
            "turnout_limit_refusals", "Requests that a limit refused.", "limit", self._refused
        )
        yield _family(
            "turnout_limit_observations",
            "Requests that a limit would have refused were it enforced.",
            "limit",
            self._observed,
        )
        yield _family(
            "turnout_charges",
            "Requests by what their tokens were counted from.",
            "counted",
            self._counted,
        )
        yield _family(
            "turnout_reserved_micro_dollars",
            "Held for requests with a limit in dollars.",
            "tenant",
            self._reserved,
        )
        yield _family(
            "turnout_charged_micro_dollars",
            "Charged to requests with a limit in dollars.",
            "tenant",
            self._charged,
        )
        yield _family(
            "turnout_output_overruns",
            "Answers longer than their request allowed.",
            "model",
            self._overruns,
        )


def _family(name: str, text: str, label: str, counts: Counter[str]) -> Metric:
    family = CounterMetricFamily(name, text, labels=(label,))
    for value, count in counts.items():
        family.add_metric((value,), count)
    return family
