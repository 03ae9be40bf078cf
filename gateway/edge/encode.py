"""From a reply to HTTP: heads, the headers that explain an answer, whole answers and errors."""

import re
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from gateway.core.catalogue import Catalogue
from gateway.core.errors import GatewayError, Unauthenticated, UpgradeRefused, UpstreamError
from gateway.core.money import cost
from gateway.core.notes import Limited
from gateway.core.outcome import Facts
from gateway.core.reply import Answered, Usage, Whole
from gateway.edge.cache_headers import cache_lines
from gateway.edge.limit_headers import limit_lines
from gateway.edge.render import error_body, retry_headers, status_of
from gateway.edge.routes import WrongMethod
from gateway.edge.visit import Visit

JSON: Final = "application/json"
EVENTS: Final = "text/event-stream; charset=utf-8"
_UNSAFE: Final = re.compile(r"[^\x21-\x7e ]+")
_MAX_VALUE: Final = 256
_UNAUTHENTICATED: Final = 401
_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus
} | {529: "HTTP/1.1 529 Overloaded\r\n"}


@lru_cache(maxsize=2)
def date_line(second: int) -> str:
    """Return the Date header of a wall-clock second."""
    return f"date: {formatdate(second, usegmt=True)}\r\n"


def head(visit: Visit, status: int, content_type: str, lines: str, size: int | None) -> bytes:
    """Return status line and headers. Without a `size` the body's length is not known yet."""
    if size is not None:
        lines += f"content-length: {size}\r\n"
    elif visit.chunked:
        lines += "transfer-encoding: chunked\r\n"
    if visit.dialect == "anthropic":
        lines += f"request-id: {visit.id}\r\n"
    if not visit.keep:
        lines += "connection: close\r\n"
    today = date_line(int(visit.clock.wall()))
    return (
        f"{_STATUS_LINES[status]}{today}content-type: {content_type}\r\n"
        f"x-request-id: {visit.id}\r\n{lines}\r\n"
    ).encode("latin-1")


def explain(visit: Visit, answered: Answered, facts: Facts) -> str:
    """Return the header lines that say who answered, why, and with what left out."""
    lines = (
        _who(
            answered.model or facts.model,
            answered.provider or facts.provider,
            visit.policy,
            facts.route,
        )
        + f"x-turnout-attempts: {len(facts.attempts)}\r\n"
    )
    if facts.tiered is not None:
        lines += f"x-turnout-tier: {facts.tiered.tier}\r\n"
    if facts.queued is not None:
        lines += f"x-turnout-queue-ms: {milliseconds(facts.queued)}\r\n"
    if answered.dropped:
        lines += f"x-turnout-dropped: {safe(', '.join(answered.dropped))}\r\n"
        visit.dropped = answered.dropped
    if answered.degraded:
        lines += f"x-turnout-degraded: {safe(', '.join(answered.degraded))}\r\n"
    if answered.request_id:
        lines += f"x-turnout-upstream-request-id: {safe(answered.request_id)}\r\n"
        visit.upstream_id = answered.request_id
    if facts.cached is not None:
        lines += cache_lines(facts.cached)
    if facts.limited:
        lines += limit_lines(facts.limited, visit.dialect, visit.clock.wall())
    return lines


@lru_cache(maxsize=1024)  # names from the configuration, the same ones again and again
def _who(model: str, provider: str, policy: str, reason: str) -> str:
    named = (("model", model), ("provider", provider), ("policy", policy), ("route", reason))
    return "".join(f"x-turnout-{name}: {safe(value)}\r\n" for name, value in named if value)


def price_of(
    facts: Facts, catalogue: Catalogue, answered: Answered, usage: Usage | None
) -> int | None:
    """Return what the answer costs in micro-dollars, None when that is not known."""
    if facts.cached is not None and facts.cached.hit and not facts.attempts:
        return 0
    if facts.used is not None:
        return facts.micro_dollars
    model = catalogue.models.get(answered.model)
    if usage is None or usage.doubtful or model is None or model.price is None:
        return None
    return cost(usage, model.price)


def dollars(micro_dollars: int) -> str:
    """Return an amount as a plain decimal, exact to the micro-dollar."""
    return f"{micro_dollars // 1_000_000}.{micro_dollars % 1_000_000:06}"


def milliseconds(seconds: float) -> str:
    """Return a duration as headers show it."""
    return f"{seconds * 1000:.2f}"


def send_whole(visit: Visit, reply: Whole, catalogue: Catalogue) -> None:
    """Send a complete answer."""
    facts = visit.facts()
    lines = explain(visit, reply.answered, facts)
    amount = price_of(facts, catalogue, reply.answered, reply.usage)
    if amount is not None:
        lines += f"x-turnout-cost: {dollars(amount)}\r\n"
    if reply.usage is not None and not (facts.cached is not None and facts.cached.hit):
        lines += f"x-turnout-prompt-cached-tokens: {reply.usage.cached}\r\n"
    send(visit, 200, reply.body, lines + _overhead(visit, facts))


def send_error(visit: Visit, error: GatewayError) -> None:
    """Send an error in the caller's dialect; once a policy had the request, with its way so far."""
    status, facts = status_of(error, visit.dialect), visit.facts()
    lines = retry_headers(error, len(facts.attempts))
    if visit.policy:
        said = error.request_id if isinstance(error, UpstreamError) else ""
        lines += explain(visit, Answered(request_id=said), facts) + _overhead(visit, facts)
    if facts.limited and facts.limited[-1].refused:
        lines += _refused_by(facts.limited[-1])
    if status == _UNAUTHENTICATED and isinstance(error, Unauthenticated):
        lines += 'www-authenticate: Bearer realm="turnout"\r\n'
    elif isinstance(error, WrongMethod):
        lines += f"allow: {error.allow}\r\n"
    elif isinstance(error, UpgradeRefused):
        lines += "upgrade: HTTP/1.1\r\n"
    send(visit, status, error_body(error, visit.dialect, visit.id), lines)


def _refused_by(limited: Limited) -> str:
    guess = "; estimated" if limited.estimated else ""
    return f"x-turnout-limit: {safe(limited.refused)}{guess}\r\n"


def _overhead(visit: Visit, facts: Facts) -> str:
    spent = facts.overhead(visit.started, visit.clock.monotonic())
    return f"x-turnout-overhead-ms: {milliseconds(spent)}\r\n"


def send(visit: Visit, status: int, body: bytes, lines: str = "") -> None:
    """Send a JSON body with its head in one write."""
    visit.status = status
    data = head(visit, status, JSON, lines, len(body))
    visit.first_byte = visit.clock.monotonic()
    visit.write(data if visit.head_only else data + body)


def safe(value: str) -> str:
    """Return text that cannot break a header, whoever wrote it."""
    if not value.isascii() or not value.isprintable() or len(value) > _MAX_VALUE:
        value = _UNSAFE.sub("?", value)[:_MAX_VALUE]
    return value
