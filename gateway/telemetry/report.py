"""What becomes of a finished request: metrics, ledger and log, in this order."""

from typing import Final

from gateway.core.charge import charge_of
from gateway.core.outcome import Outcome
from gateway.core.ports import Timer, Tools
from gateway.core.state import LedgerRow
from gateway.telemetry.fold import fold
from gateway.telemetry.ledger import rows_of
from gateway.telemetry.log import Log
from gateway.telemetry.metrics import Metrics

PROBES: Final = frozenset({"/livez", "/readyz"})
GATHER: Final = 0.04
"""Seconds for which rows are gathered: what is handed over together is written together."""
MOST: Final = 2_048
"""Rows that are gathered at most, and those of a last request."""


class Report:
    """Counts a request, keeps it in the ledger and logs it. Called once, at its end."""

    def __init__(self, metrics: Metrics, log: Log, tools: Tools) -> None:
        self._metrics = metrics
        self._log = log
        self._clock = tools.runtime.clock
        self._wall = self._clock.wall
        # Rows, not outcomes: those the collector would look through again and again.
        self._rows: list[LedgerRow] = []
        self._timer: Timer | None = None
        self._ledger = tools.state.ledger
        self._served = frozenset(tools.catalogue.served())
        self._warned: set[str] = set()

    def __call__(self, outcome: Outcome) -> None:
        if outcome.endpoint in PROBES and outcome.fault is None:
            return  # asked every second by whoever watches us; only trouble is news
        facts, charge, wall = outcome.facts, charge_of(outcome.facts), self._wall()
        self._metrics.observe(outcome)
        if self._metrics.limits.observe(outcome, charge) and facts.model not in self._warned:
            self._warned.add(facts.model)
            self._log.warning(
                "a provider's answers are longer than it was told: budgets may be overspent",
                provider=facts.provider,
                model=facts.model,
                request_id=outcome.id,
            )
        rows = self._rows
        rows += rows_of(outcome, charge, wall, self._served)
        if len(rows) >= MOST:
            self.hand_over()
        elif self._timer is None and rows:
            self._timer = self._clock.after(GATHER, self.hand_over)
        self._log.request(fold(outcome, charge, wall, self._served))

    def hand_over(self) -> None:
        """Give what was gathered to the ledger."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._rows:
            self._ledger.record(self._rows)
            self._rows = []
