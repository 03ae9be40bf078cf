"""What a request holds of its limits, and how it is given back in every way that it can end."""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.catalogue import Price
from gateway.core.charge import charge_of
from gateway.core.chat import ALWAYS_WHOLE
from gateway.core.estimate import Answers
from gateway.core.exchange import Exchange
from gateway.core.money import Rates, at_most, cost
from gateway.core.notes import Cached, Demand, Used
from gateway.core.outcome import gather
from gateway.core.reply import Usage
from gateway.core.state import MAX_AMOUNT, Lease, Limiter
from gateway.stages.limit_lines import Lines
from gateway.stages.limit_meters import Meters


class Books(Struct, frozen=True):
    """What one stage keeps count with. `rates` are the models' prices that are known."""

    limiter: Limiter
    lines: Lines
    rates: Mapping[str, Rates]
    default_price: Price | None


class Hold(Struct, gc=False):
    """What one request holds until it is over. Without a `demand` no limit of it is measured."""

    books: Books
    exchange: Exchange
    meters: Meters
    lease: Lease
    answers: Answers
    demand: Demand | None

    def lower(self, model: str) -> None:
        """Give back what is too much now that the model that answers is known."""
        rates, demand = self.books.rates.get(model), self.demand
        if (
            rates is None
            or demand is None
            or not self.meters.money
            or sum(rates) >= sum(demand.rates)
        ):
            return
        money = at_most(rates, demand.input, demand.output)
        lowered = replace(demand, rates=rates, micro_dollars=money)
        self.books.limiter.lower(self.lease, self.meters.amounts(lowered))

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
        books.limiter.settle(self.lease, None if self.demand is None else self._used())
        if books.lines.open:
            books.lines.wake(self.lease.limits)

    def _used(self) -> Sequence[int] | None:
        """Return what was used of each limit; None where that is what was reserved."""
        exchange = self.exchange
        notes = exchange.notes
        newest = notes.newest
        # As nearly always: then the rest of the notes changes nothing.
        if type(newest) is Used and not notes.several:
            usage, money = newest.usage, newest.micro_dollars
            brought, answer = usage.input, usage.output
            if exchange.request.endpoint not in ALWAYS_WHOLE:
                self.answers.observe(answer)
        elif type(newest) is Cached and newest.hit and not newest.reason:  # the usual hit
            brought = answer = money = 0
        else:
            charge = charge_of(gather(notes))
            if charge.counted == "reserved" and not notes.several:
                return None
            brought, answer = charge.amounts.input, charge.amounts.output
            money = charge.amounts.micro_dollars
        if money is None:
            price = self.books.default_price
            money = 0 if price is None else min(cost(Usage(brought, answer), price), MAX_AMOUNT)
        return self.meters.used(brought, answer, money)
