"""The typed facts that a request leaves behind; log, metrics and headers are folded from them."""

from typing import Literal, TypeAlias, TypeVar

from msgspec import Struct

from gateway.core.money import Rates
from gateway.core.reply import Usage
from gateway.core.state import Standing

End = Literal["done", "client_gone", "revoked", "draining", "upstream_cut", "error"]
Work = Literal["none", "refused", "unknown", "done"]
"""What a provider did for an attempt: never asked, answered no, may have worked, answered."""
Step = Literal["pin", "fit", "rule", "kept", "score", "start", "fallback"]
"""By what a tier was chosen: its name, what a request needs, a rule of the policy, the conversation
so far, the calibrated score, the rules of the cold start, or none of these as scoring failed."""
CacheResult = Literal["hit-exact", "hit-semantic", "miss", "bypass"]
Family = Literal["requests", "tokens", "input-tokens", "output-tokens"]
"""Under which name callers are told of a limit."""


class Amounts(Struct, frozen=True, gc=False):
    """Tokens and money of one request. `micro_dollars` is None when the model has no price."""

    input: int = 0
    output: int = 0
    micro_dollars: int | None = 0


class Demand(Amounts, frozen=True, gc=False):
    """What a request may use at most, and what it is reserved for."""

    likely: int = 0
    """`output`, or what nine of ten answers of its kind stay within, whichever is less."""
    stated: bool = True
    """Whether it states a limit of its output; otherwise `output` is learned."""
    rates: Rates = (0, 0)
    """The dearest price that it may come to."""


class Routed(Struct, frozen=True, gc=False):
    """The target was settled."""

    model: str
    provider: str
    reason: str
    fallback: bool = False
    """Whether it stands in for one that is ill, full or failed."""


class Tiered(Struct, frozen=True, gc=False):
    """A router chose among the tiers of a policy."""

    tier: str
    step: Step
    reason: str
    model: str
    provider: str


class Attempted(Struct, frozen=True, gc=False):
    """One try of one target. Times are `Clock.monotonic()` seconds; `code` is empty on success."""

    provider: str
    model: str
    started: float
    ended: float
    """When its answer (whole) or its first content event (stream) was in hand."""
    code: str = ""
    status: int = 200
    work: Work = "done"


class StreamEnded(Struct, frozen=True, gc=False):
    """A stream is over. Gaps are seconds between blocks; `upstream_seconds` was spent waiting."""

    reason: End
    blocks: int
    size: int
    longest_gap: float
    upstream_seconds: float
    code: str = ""


class Used(Struct, frozen=True, gc=False):
    """What the provider says it used."""

    model: str
    usage: Usage
    micro_dollars: int | None
    """None when the model has no price: unknown, never free."""


class Passed(Used, frozen=True, gc=False):
    """What was used as far as we saw it: the provider did not say, not yet, or made no sense."""


class Estimated(Struct, frozen=True, gc=False):
    """What a provider that gave no answer may have used all the same."""

    amounts: Amounts


class Limited(Struct, frozen=True, gc=False):
    """What limits made of the request."""

    standing: Standing
    told: tuple[tuple[Family, int], ...] = ()
    """Which limits callers are told of, by their index in `standing`, and under which name."""
    exceeded: tuple[str, ...] = ()
    """Titles of the limits that were reached, also when they are only observed."""
    refused: str = ""
    """The title of the limit that it was refused for."""
    estimated: bool = False
    """Whether it was refused for output that was guessed, as it states no limit of its own."""
    reserved: Demand | None = None
    """None where no limit counts tokens or money."""


class Queued(Struct, frozen=True, gc=False):
    """It waited so many seconds for a slot of its target or for a limit."""

    seconds: float


class Wasted(Struct, frozen=True, gc=False):
    """An attempt whose answer nobody got, and what it is taken to have cost.

    It lost a race, or it broke and another one was made after it.
    """

    provider: str
    model: str
    input: int
    """Tokens, guessed where the provider did not say."""
    micro_dollars: int | None
    """None when the model has no price: unknown, never free."""
    output: int = 0


class Cached(Struct, gc=False):
    """What the cache made of the request. `unstored` is filled in when it is known."""

    result: CacheResult
    reason: str = ""
    """Why a bypass or a miss, or what is special about a hit."""
    age: float = 0.0
    """Seconds since the answer was stored."""
    id: str = ""
    """The entry's, of a hit."""
    model: str = ""
    """The model that the answer came from."""
    saved: int | None = None
    """Micro-dollars that the answer had cost; None when that is unknown."""
    risk: str = ""
    """Of a semantic hit: the share of wrong ones that is not exceeded, or `unproven`."""
    unstored: str = ""
    """Why the answer of whoever was asked was not stored."""

    @property
    def hit(self) -> bool:
        """Whether a stored answer was served."""
        return self.result in {"hit-exact", "hit-semantic"}


class Verdict(Struct, frozen=True, gc=False):
    """What a stage decided, in a word or two: `rate_limit`, `admitted`."""

    stage: str
    verdict: str


Note: TypeAlias = (
    Routed
    | Tiered
    | Queued
    | Attempted
    | StreamEnded
    | Used
    | Wasted
    | Passed
    | Estimated
    | Limited
    | Cached
    | Verdict
)
N = TypeVar(
    "N",
    Routed,
    Tiered,
    Queued,
    Attempted,
    StreamEnded,
    Used,
    Wasted,
    Passed,
    Estimated,
    Limited,
    Cached,
    Verdict,
)


class Notes(list[Note]):
    """The notes of one exchange, oldest first. Facts are only ever added."""

    __slots__ = ("several",)

    def __init__(self) -> None:
        self.several = False
        """Whether more than one attempt was made, so that the newest usage may not be all."""

    add = list.append
    """Leave a fact behind."""

    def bring_last(self, note: Note) -> None:
        """Have a fact count as the newest, for what was left since is of an attempt before it."""
        self.remove(note)
        self.append(note)

    @property
    def newest(self) -> Note | None:
        """The last fact that was left behind."""
        return self[-1] if self else None

    def all(self, kind: type[N]) -> list[N]:
        """Return the notes of one kind, oldest first."""
        return [note for note in self if type(note) is kind]

    def last(self, kind: type[N]) -> N | None:
        """Return the newest note of a kind, or None."""
        for note in reversed(self):
            if type(note) is kind:
                return note
        return None
