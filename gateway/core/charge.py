"""What a request is charged for: the provider's word, else what passed, else the reservation."""

from typing import Final

from msgspec import Struct

from gateway.core.chat import ALWAYS_WHOLE, ChatRequest
from gateway.core.errors import CallerError, UpstreamError
from gateway.core.estimate import input_tokens, tokens_in
from gateway.core.notes import Amounts, Used, Work
from gateway.core.outcome import Facts
from gateway.core.reply import Usage
from gateway.core.state import Counted

ENVELOPE: Final = 300
"""Bytes of a whole answer that are no text."""
NOTHING: Final = Amounts()
_NEVER_ASKED: Final = frozenset(
    {
        *("upstream_connect_timeout", "upstream_refused_connection", "upstream_dns"),
        *("upstream_tls", "upstream_pool_timeout"),
    }
)


class Charge(Struct, frozen=True):
    """What a request is charged for, and what those amounts come from."""

    counted: Counted
    amounts: Amounts = NOTHING


def charge_of(facts: Facts) -> Charge:
    """Return what the notes of a request come to.

    A provider's final usage wins, also when it is 0. Without it what passed counts; without that
    what was reserved, where a provider may have worked. An error that a provider answered with
    costs nothing.
    """
    if facts.passed is not None:
        return Charge("relayed", _amounts(facts.passed))
    if facts.used is not None:
        return Charge("provider", _amounts(facts.used))
    if any(attempt.work == "unknown" for attempt in facts.attempts):
        limited = facts.limited[0] if facts.limited else None
        if limited is not None and limited.reserved is not None:
            return Charge("reserved", limited.reserved)
    return Charge("nothing")


def work_of(error: BaseException) -> Work:
    """Return what a provider whose attempt ended in `error` has done as far as we can know."""
    if isinstance(error, UpstreamError):
        if error.provider_status:
            return "refused"
        return "none" if error.code in _NEVER_ASKED else "unknown"
    return "none" if isinstance(error, CallerError) else "unknown"


def passed_in(body: bytes) -> int:
    """Return about how many output tokens a whole answer has."""
    return tokens_in(len(body) - ENVELOPE)


def seen_passing(request: ChatRequest, said: Usage | None, passed: int) -> Usage:
    """Return what a request used as far as we saw; `said` is what its provider told so far.

    Output is the larger of both figures; input is guessed from the request when it was not told.
    """
    said = said or Usage()
    output = 0 if request.endpoint in ALWAYS_WHOLE else max(said.output, passed)
    return Usage(
        input=said.input or input_tokens(request),
        output=output,
        cached=said.cached,
        cache_write=said.cache_write,
        reasoning=said.reasoning,
    )


def _amounts(used: Used) -> Amounts:
    return Amounts(used.usage.input, used.usage.output, used.micro_dollars)
