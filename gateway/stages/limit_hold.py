"""What a request holds of its limits, and how it is given back in every way that it can end."""

from collections.abc import Mapping

from msgspec import Struct

from gateway.core.catalogue import Price
from gateway.core.charge import Charge, amounts_of, charge_of
from gateway.core.chat import ALWAYS_WHOLE
from gateway.core.estimate import OutputHistory
from gateway.core.exchange import Exchange
from gateway.core.money import Rates, cost
from gateway.core.notes import Amounts, Family, Used
from gateway.core.outcome import gather
from gateway.core.reply import Usage
from gateway.core.state import MAX_AMOUNT, Lease, Limiter
from gateway.stages.limit_lines import Lines
from gateway.stages.limit_meters import Demand, Meter


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


class Hold:
    """What one request holds until it is over."""

    __slots__ = ("_books", "_demand", "_exchange", "_kind", "_known", "_lease")

    def __init__(
        self,
        books: Books,
        exchange: Exchange,
        known: Known,
        lease: Lease,
        need: tuple[tuple[str, ...], Demand],
    ) -> None:
        self._books = books
        self._exchange = exchange
        self._known = known
        self._lease = lease
        self._kind, self._demand = need

    def lower(self, model: str) -> None:
        """Give back what is too much now that the model that answers is known."""
        rates = self._books.rates.get(model)
        if rates is None or not self._known.money or sum(rates) >= sum(self._demand.rates):
            return
        demand = self._demand
        demand.rates = rates
        pairs = zip(self._known.meters, self._lease.limits, strict=True)
        amounts = {
            limit.key: meter.amount(demand) for meter, limit in pairs if meter.kind == "cost"
        }
        self._books.limiter.lower(self._lease, amounts)

    def failed(self) -> None:
        """End a request that has no answer: it is free when no provider was ever asked."""
        facts = gather(self._exchange.notes)
        if any(attempt.work != "none" for attempt in facts.attempts):
            self.settle()
        else:
            self._books.limiter.release(self._lease)
            self._wake()

    def _wake(self) -> None:
        lines = self._books.lines
        if lines:
            lines.wake(self._lease.limits)

    def settle(self) -> None:
        """Charge what was used."""
        self._charge()
        self._wake()

    def _charge(self) -> None:
        books, exchange, known = self._books, self._exchange, self._known
        if not known.measured:
            books.limiter.settle(self._lease, {})
            return
        newest = exchange.notes.newest
        if type(newest) is Used:  # as nearly always: then the rest of the notes changes nothing
            charge = Charge("provider", amounts_of(newest))
        else:
            charge = charge_of(gather(exchange.notes))
        if charge.counted == "reserved":
            books.limiter.settle(self._lease, {})
            return
        amounts = self._priced(charge.amounts)
        used = {}
        for meter, limit in zip(known.meters, self._lease.limits, strict=True):
            if meter.measured:
                used[limit.key] = meter.used(amounts)
        books.limiter.settle(self._lease, used)
        if charge.counted == "provider" and exchange.request.endpoint not in ALWAYS_WHOLE:
            books.history.observe(self._kind, amounts.output)

    def _priced(self, amounts: Amounts) -> Amounts:
        """Return the amounts with the stated price where the model has none."""
        price = self._books.default_price
        if amounts.micro_dollars is None and price is not None:
            money = cost(Usage(amounts.input, amounts.output), price)
            return Amounts(amounts.input, amounts.output, min(money, MAX_AMOUNT))
        return amounts
