"""Who is next: deficit round robin over tenants, inside three classes. Pure; nothing waits here.

Deficit round robin (Shreedhar & Varghese, SIGCOMM 1995): each tenant with entries is visited in
turn and may send a quantum of tokens at each visit; what it does not use it keeps for as long as
it has entries. So no tenant gets ahead of another by more than a quantum and the dearest request
of each, however many requests it has here and however large they are. A request counts at least
a quantum: what a short question takes from others is a place, not its tokens, and by tokens alone
fifty of them went in one turn.

The three classes share by the same rule, with quanta of 16 : 4 : 1. Under strict priority a busy
`high` would starve `low` for ever. Here `low` keeps 1 part in 21 of the tokens, and `high` at
least 16, which is more than it needs unless it is itself the overload.

Room is shared by "drop from the longest queue" (McKenney, INFOCOM 1990), see `victim`.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from gateway.core.exchange import Priority

QUANTUM: Final = 256
"""Tokens that a tenant may send at each visit, and the least that a request counts."""
WEIGHTS: Final[Mapping[Priority, int]] = {"low": 1, "normal": 4, "high": 16}
_UNIT: Final = 64


class Entry:
    """One who waits. `cost` is in tokens and counts at least a quantum."""

    __slots__ = ("cost", "number", "priority", "tenant")

    def __init__(self, tenant: str, priority: Priority, cost: int) -> None:
        self.tenant = tenant
        self.priority: Priority = priority
        self.cost = max(QUANTUM, cost)
        self.number = 0


class FairOrder:
    """The entries that wait, and which of them goes next. Every step is O(tenants) at most."""

    def __init__(self) -> None:
        self._classes = {name: _Class(weight * _UNIT) for name, weight in WEIGHTS.items()}
        self._ring = _Ring()
        self._count = 0
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, entry: Entry) -> None:
        """Let one more wait."""
        self._count += 1
        entry.number = self._count
        among = self._classes[entry.priority]
        if not among.joined:
            among.joined = True
            self._ring.join(among)
        among.add(entry)
        self._length += 1

    def take(self) -> Entry | None:
        """Remove and return the one who goes next, None when nobody waits."""
        among = self._ring.turn()
        if among is None:
            return None
        self._length -= 1
        return among.take()

    def drop(self, entry: Entry) -> None:
        """Remove one that waits here, wherever it stands. O(1)."""
        self._classes[entry.priority].drop(entry)
        self._length -= 1

    def victim(self, newcomer: Entry) -> Entry | None:
        """Return who is to leave when there is no room for `newcomer`; None: itself.

        That is the newest entry of the tenant with most tokens in the lowest class that holds
        more than its part of the room (1 : 4 : 16), with the newcomer counted in. So a tenant or
        class may fill what nobody else needs, and keeps nobody out.
        """
        own = self._classes[newcomer.priority]
        room = (self._length + 1) / sum(WEIGHTS.values())
        lowest = next(
            (
                each
                for name, each in self._classes.items()
                if each.entries + (each is own) > room * WEIGHTS[name]
            ),
            own,
        )
        if lowest is own and not own.entries:
            return None
        tenant = max(lowest.tenants.values(), key=lambda tenant: tenant.tokens)
        mine = own.tenants.get(newcomer.tenant)
        held = (mine.tokens if mine else 0) + newcomer.cost
        if lowest is own and held >= (0 if tenant is mine else tenant.tokens):
            return None
        return next(reversed(tenant.entries.values()))

    def ahead(self, newcomer: Entry) -> float:
        """Return about how many entries would go before `newcomer`, by fluid fair sharing."""
        own = self._classes[newcomer.priority]
        tokens, count = own.before(newcomer)
        for each in self._classes.values():
            if each is not own and each.entries:
                share = (tokens + newcomer.cost) * each.quantum / own.quantum
                count += each.entries * min(1.0, share / each.tokens)
        return count


class _Flow(Protocol):
    """What a round robin goes over: a tenant, or a whole class."""

    deficit: int
    quantum: int

    def head(self) -> Entry | None: ...
    def take(self) -> Entry: ...
    def left(self) -> None:
        """Hear that it is out of the ring, since it has no entries."""
        ...


class _Ring:
    """Deficit round robin. The flow in front has had its quantum for this visit."""

    def __init__(self) -> None:
        self._flows: deque[_Flow] = deque()

    def join(self, flow: _Flow) -> None:
        """Let a flow take its place behind the others."""
        flow.deficit = 0 if self._flows else flow.quantum
        self._flows.append(flow)

    def turn(self) -> _Flow | None:
        """Go round to the flow whose turn it is, None when no flow has an entry."""
        flows, visited = self._flows, 0
        while flows:
            flow = flows[0]
            head = flow.head()
            if head is None:
                flows.popleft().left()
            elif head.cost <= flow.deficit:
                return flow
            else:
                flows.rotate(-1)
                visited += 1
            if flows and visited >= len(flows):
                self._skip()
                visited = 0
            if flows:
                flows[0].deficit += flows[0].quantum
        return None

    def _skip(self) -> None:
        """Go all rounds at once in which nobody could afford its first entry."""
        rounds = min(map(_rounds_needed, self._flows)) - 1
        for flow in self._flows if rounds > 0 else ():
            flow.deficit += rounds * flow.quantum


def _rounds_needed(flow: _Flow) -> int:
    head = flow.head()
    return -((flow.deficit - head.cost) // flow.quantum) if head else 1


class _Tenant:
    """One tenant's entries, first come first served."""

    __slots__ = ("_gone", "deficit", "entries", "quantum", "tokens")

    def __init__(self, gone: Callable[[], object]) -> None:
        self._gone = gone
        self.deficit = 0
        self.quantum = QUANTUM
        self.entries: OrderedDict[int, Entry] = OrderedDict()
        self.tokens = 0

    def head(self) -> Entry | None:
        return next(iter(self.entries.values()), None)

    def take(self) -> Entry:
        _, entry = self.entries.popitem(last=False)
        self.tokens -= entry.cost
        self.deficit = self.deficit - entry.cost if self.entries else 0
        return entry

    def left(self) -> None:
        self._gone()


class _Class:
    """The tenants of one priority."""

    def __init__(self, quantum: int) -> None:
        self.deficit = 0
        self.quantum = quantum
        self.tenants: dict[str, _Tenant] = {}
        self.joined = False
        self.entries = self.tokens = 0
        self._ring = _Ring()

    def add(self, entry: Entry) -> None:
        name = entry.tenant
        tenant = self.tenants.get(name)
        if tenant is None:
            tenant = self.tenants[name] = _Tenant(lambda: self.tenants.pop(name))
            self._ring.join(tenant)
        tenant.entries[entry.number] = entry
        tenant.tokens += entry.cost
        self.entries += 1
        self.tokens += entry.cost

    def head(self) -> Entry | None:
        tenant = self._ring.turn()
        return tenant.head() if tenant else None

    def take(self) -> Entry:
        tenant = self._ring.turn()
        if tenant is None:
            raise LookupError("nobody waits in this class")
        entry = tenant.take()
        self.entries -= 1
        self.tokens -= entry.cost
        self.deficit = self.deficit - entry.cost if self.entries else 0
        return entry

    def drop(self, entry: Entry) -> None:
        tenant = self.tenants[entry.tenant]
        del tenant.entries[entry.number]
        tenant.tokens -= entry.cost
        self.entries -= 1
        self.tokens -= entry.cost
        if not tenant.entries:
            tenant.deficit = 0
        if not self.entries:
            self.deficit = 0

    def left(self) -> None:
        self.joined = False

    def before(self, newcomer: Entry) -> tuple[float, float]:
        """Return tokens and entries of this class that would go before a newcomer of it."""
        mine = self.tenants.get(newcomer.tenant)
        until = newcomer.cost + (mine.tokens if mine else 0)
        tokens = count = 0.0
        for tenant in self.tenants.values():
            held = tenant.tokens if tenant is mine else min(tenant.tokens, until)
            tokens += held
            count += len(tenant.entries) * held / max(1, tenant.tokens)
        return tokens, count
