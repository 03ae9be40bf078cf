"""What a request holds of its limits, and how it is given back in every way that it can end."""

from collections.abc import Mapping

from msgspec import Struct

from gateway.core.catalogue import Price
from gateway.core.charge import charge_of
from gateway.core.chat import ALWAYS_WHOLE
from gateway.core.estimate import OutputHistory
from gateway.core.exchange import Exchange
from gateway.core.money import Rates, at_most, cost
from gateway.core.notes import Cached, Family, Used
from gateway.core.outcome import gather
from gateway.core.reply import Usage
from gateway.core.state import MAX_AMOUNT, Lease, Limiter
from gateway.stages.limit_lines import Lines
from gateway.stages.limit_meters import Demand, Meter

Kind = tuple[str, ...]
"""What a request is like when it comes to the length of its answer."""


class Books(Struct, frozen=True):
    """What one stage keeps count with. `rates` are the models' prices that are known."""

    limiter: Limiter
    history: OutputHistory
    lines: Lines
    rates: Mapping[str, Rates]
    default_price: Price | None


class Known(Struct, frozen=True):
    """What counts for one tenant."""

    meters: tuple[Meter, ...]
    families: tuple[Family, ...]
    titles: tuple[str, ...]
    money: bool
    measured: bool


class Hold(Struct):
    """What one request holds until it is over."""

    books: Books
    exchange: Exchange
    known: Known
    lease: Lease
    kind: Kind
    demand: Demand

    def lower(self, model: str) -> None:
        """Give back what is too much now that the model that answers is known."""
        rates = self.books.rates.get(model)
        if rates is None or not self.known.money or sum(rates) >= sum(self.demand.rates):
            return
        demand = self.demand
        demand.rates = rates
        demand.micro_dollars = at_most(rates, demand.input, demand.most)
        pairs = zip(self.known.meters, self.lease.limits, strict=True)
        amounts = {
            limit.key: meter.amount(demand) for meter, limit in pairs if meter.kind == "cost"
        }
        self.books.limiter.lower(self.lease, amounts)

    def failed(self) -> None:
        """End a request that has no answer: it is free when no provider was ever asked."""
        facts = gather(self.exchange.notes)
        if any(attempt.work != "none" for attempt in facts.attempts):
            self.settle()
        else:
            self.books.limiter.release(self.lease)
            if self.books.lines.open:
                self.books.lines.wake(self.lease.limits)

    def settle(self) -> None:
        """Charge what was used."""
        books = self.books
        books.limiter.settle(self.lease, self._used() if self.known.measured else {})
        if books.lines.open:
            books.lines.wake(self.lease.limits)

    def _used(self) -> Mapping[str, int]:
        """Return what was used of each limit; of those that are left out, what was reserved."""
        exchange, books = self.exchange, self.books
        newest = exchange.notes.newest
        if type(newest) is Used:  # as nearly always: then the rest of the notes changes nothing
            usage, money = newest.usage, newest.micro_dollars
            brought, answer = usage.input, usage.output
            if exchange.request.endpoint not in ALWAYS_WHOLE:
                books.history.observe(self.kind, answer)
        elif type(newest) is Cached and newest.hit and not newest.reason:  # the usual hit
            brought = answer = money = 0
        else:
            charge = charge_of(gather(exchange.notes))
            if charge.counted == "reserved":
                return {}
            brought, answer = charge.amounts.input, charge.amounts.output
            money = charge.amounts.micro_dollars
        if money is None and books.default_price is not None:
            money = min(cost(Usage(brought, answer), books.default_price), MAX_AMOUNT)
        sums = (brought + answer, brought, answer, money or 0)
        used = {}
        for meter, limit in zip(self.known.meters, self.lease.limits, strict=True):
            if meter.measured:
                used[limit.key] = sums[meter.counts]
        return used
