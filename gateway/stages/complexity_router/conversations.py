"""Conversations and the tier that each is at: providers keep its beginning for one model only."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.catalogue import Model
from gateway.core.chat import ChatRequest
from gateway.core.exchange import SESSION, Exchange
from gateway.core.money import cost
from gateway.core.parts import kind_of
from gateway.core.reply import Usage
from gateway.stages.failover.strategies import beginning
from gateway.stages.needs import CHAT

IDLE: Final = 300.0
"""Seconds after its last request for which a conversation stays: providers keep it no longer."""
MOST: Final = 10_000
"""Conversations that are known; of more the one that was silent longest is forgotten."""
DOWN_AFTER: Final = 3
"""Requests in a row that a lower tier would do for, before one goes there."""
_BOUND_PARTS: Final = frozenset({"thinking", "redacted_thinking"})
_BOUND_FIELDS: Final = ("reasoning_details", "thinking_blocks")


class Held(Struct):
    """Where a conversation is."""

    tier: int
    at: float
    """When its last request came, by `Clock.monotonic()`."""
    low: int = 0
    """How many requests in a row a lower tier would have done for."""
    usage: Usage | None = None
    """What its last answer from this tier used."""

    def warm(self, now: float) -> bool:
        """Whether the provider may still keep its beginning."""
        return now - self.at <= IDLE


class Conversations:
    """The newest conversations of one process."""

    def __init__(self) -> None:
        self._held: OrderedDict[bytes, Held] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def find(self, key: bytes) -> Held | None:
        """Return where a conversation is or was, however long ago."""
        return self._held.get(key)

    def keep(self, key: bytes, tier: int, now: float) -> Held:
        """Take note of a request at a tier, and return what is known of its conversation."""
        held = self.find(key)
        if held is None or held.tier != tier or not held.warm(now):
            held = self._held[key] = Held(tier, now)
        held.at = now
        self._held.move_to_end(key)
        if len(self._held) > MOST:
            self._held.popitem(last=False)
        return held


def key_of(exchange: Exchange) -> bytes:
    """Return what tells one conversation of one caller from all others.

    That is `x-session-id`, else what all its requests begin with: the system prompt and the first
    turn.
    """
    caller = exchange.caller
    session = exchange.headers.get(SESSION, "")
    fields = exchange.request.fields
    if exchange.request.endpoint not in CHAT:  # where nobody has looked at other fields
        fields = {"prompt": fields.get("prompt")}
    start = session.encode() if session else beginning(fields)
    whose = f"{caller.tenant}\0{caller.fingerprint}\0{bool(session)}\0".encode()
    return blake2b(whose + start, digest_size=16).digest()


def bond(request: ChatRequest) -> str:
    """Return why a request must stay with the model that its conversation is at, or nothing.

    In the middle of a tool loop the results belong to calls of that model. Signed or encrypted
    thoughts are refused by any other.
    """
    if request.endpoint not in CHAT:
        return ""
    messages: Sequence[Mapping[str, Any]] = request.fields["messages"]
    last = messages[-1]
    if last.get("role") in {"tool", "function"} or "tool_result" in _kinds(last):
        return "a tool loop"
    for message in messages:
        if message.get("role") == "assistant" and _is_bound(message):
            return "thoughts of its model"
    return ""


def stays(held: Held, wanted: int, models: Sequence[Model]) -> str:
    """Return why a conversation stays where it is, though `wanted` would do; or nothing.

    Up it goes at once. Down it goes after `DOWN_AFTER` such requests in a row, if the next request,
    were it like the last, cost less there though nothing of it is kept there yet.
    """
    if wanted >= held.tier:
        held.low = 0
        return ""
    held.low += 1
    if held.low < DOWN_AFTER:
        return f"{held.low} of {DOWN_AFTER} low turns"
    here, there, used = models[held.tier].price, models[wanted].price, held.usage
    if used is None or here is None or there is None:
        return ""
    anew = replace(used, cached=0, cache_write=0, cache_write_1h=0)
    return "its prompt cache" if cost(anew, there) >= cost(used, here) else ""


def _is_bound(message: Mapping[str, Any]) -> bool:
    bound = any(message.get(name) for name in _BOUND_FIELDS)
    return bound or not _BOUND_PARTS.isdisjoint(_kinds(message))


def _kinds(message: Mapping[str, Any]) -> list[str]:
    content = message.get("content")
    parts = content if isinstance(content, list) else ()
    return [kind_of(part) for part in parts if isinstance(part, dict)]
