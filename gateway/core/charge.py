"""What a request is charged for: the provider's word, else what passed, else the reservation."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from gateway.core.catalogue import Model
from gateway.core.chat import ChatRequest
from gateway.core.errors import CallerError, UpstreamError
from gateway.core.estimate import expected_output, input_tokens, output_limit, tokens_in
from gateway.core.money import at_most, dearest
from gateway.core.notes import Amounts, Used, Work
from gateway.core.outcome import Facts
from gateway.core.reply import Usage
from gateway.core.state import Counted

ENVELOPE: Final = 100
"""Bytes of a whole answer that are no text, at least."""
NOTHING: Final = Amounts()
_FREE: Final = Used("", Usage(), 0)
_NEVER_ASKED: Final = frozenset(
    {
        *("upstream_connect_timeout", "upstream_refused_connection", "upstream_dns"),
        *("upstream_tls", "upstream_pool_timeout"),
        *("upstream_certificate_expired", "upstream_certificate_name"),
    }
)


class Charge(Struct, frozen=True, gc=False):
    """What a request is charged for, and what those amounts come from."""

    counted: Counted
    amounts: Amounts = NOTHING


def charge_of(facts: Facts) -> Charge:
    """Return what the notes of a request come to.

    A provider's final usage wins, also when it is 0. Without it what passed counts; without that,
    where a provider may have worked, what was reserved, or where no limit asked for that, what
    would have been. An error that a provider answered with costs nothing. Attempts that were
    wasted are charged with the one that was not.
    """
    counted, own = _own(facts)
    if not facts.wasted:
        return Charge(counted, _amounts(own))
    if counted == "nothing":
        counted = "relayed"
    tokens, output, price = own.usage.input, own.usage.output, own.micro_dollars
    for each in facts.wasted:
        tokens += each.input
        output += each.output
        known = price is not None and each.micro_dollars is not None
        price = (price or 0) + (each.micro_dollars or 0) if known else None
    return Charge(counted, Amounts(tokens, output, price))


def shares_of(facts: Facts) -> Sequence[Used]:
    """Return what each attempt is charged; together it is what the request is."""
    shares = [_FREE] * len(facts.attempts)
    if facts.wasted:
        _share_wasted(facts, shares)
    counted, own = _own(facts)
    if counted != "nothing":
        work = "unknown" if counted in {"reserved", "estimated"} else "done"
        for number in range(len(shares) - 1, -1, -1):
            if facts.attempts[number].work == work and shares[number] is _FREE:
                shares[number] = own
                break
    return shares


def _share_wasted(facts: Facts, shares: list[Used]) -> None:
    """Give each wasted attempt its own."""
    left = list(facts.wasted)
    for number, attempt in enumerate(facts.attempts):
        for each in left:
            if (each.provider, each.model) == (attempt.provider, attempt.model):
                usage = Usage(input=each.input, output=each.output)
                shares[number] = Used(each.model, usage, each.micro_dollars)
                left.remove(each)
                break


def _own(facts: Facts) -> tuple[Counted, Used]:
    """Return what the attempt is charged that the answer came from, or may have come from."""
    if facts.passed is not None:
        return "relayed", facts.passed
    if facts.used is not None:
        return "provider", facts.used
    if any(attempt.work == "unknown" for attempt in facts.attempts):
        return _supposed(facts)
    return "nothing", _FREE


def work_of(error: BaseException) -> Work:
    """Return what a provider whose attempt ended in `error` has done as far as we can know."""
    if isinstance(error, UpstreamError):
        if error.provider_status:
            return "refused"
        return "none" if error.code in _NEVER_ASKED else "unknown"
    return "none" if isinstance(error, CallerError) else "unknown"


def may_have_used(request: ChatRequest, model: Model, learned: int) -> Amounts:
    """Return what a limit would have reserved for the request at this model.

    `learned` is what answers of its kind stay within, for a request that states no limit.
    """
    if request.endpoint == "count_tokens":
        return NOTHING
    most = output_limit(request, model)
    output = expected_output(learned, request, model) if most is None else most
    brought = input_tokens(request)
    price = at_most(dearest(model.price), brought, output) if model.price else None
    return Amounts(brought, output, price)


def passed_in(body: bytes) -> int:
    """Return about how many output tokens a whole answer has."""
    return tokens_in(len(body) - ENVELOPE)


def seen_passing(request: ChatRequest, model: Model, said: Usage | None, passed: int) -> Usage:
    """Return what a request used as far as we saw; `said` is what its provider told so far.

    Output is the larger of both figures, what passed being no more than the request allows; input
    is guessed from the request when it was not told.
    """
    said, most = said or Usage(), output_limit(request, model)
    output = max(said.output, passed if most is None else min(passed, most))
    return Usage(
        input=said.input or input_tokens(request),
        output=output,
        cached=said.cached,
        cache_write=said.cache_write,
        cache_write_1h=said.cache_write_1h,
        reasoning=said.reasoning,
    )


def _supposed(facts: Facts) -> tuple[Counted, Used]:
    """Return what an answer that nobody saw is taken to have used."""
    held = [each.reserved for each in facts.limited if each.reserved is not None]
    if held:
        return "reserved", _used(next((each for each in held if each.micro_dollars), held[0]))
    if facts.estimated is not None:
        return "estimated", _used(facts.estimated.amounts)
    return "nothing", _FREE


def _used(amounts: Amounts) -> Used:
    usage = Usage(input=amounts.input, output=amounts.output)
    return Used("", usage, amounts.micro_dollars)


def _amounts(used: Used) -> Amounts:
    return Amounts(used.usage.input, used.usage.output, used.micro_dollars)
