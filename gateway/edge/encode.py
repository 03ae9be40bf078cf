"""From a reply to HTTP: heads, the headers that explain an answer, whole answers and errors."""

import re
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from gateway.core.catalogue import Catalogue
from gateway.core.errors import GatewayError, Unauthenticated, UpgradeRefused
from gateway.core.money import cost
from gateway.core.notes import Attempted, Notes, Routed, Used
from gateway.core.outcome import overhead
from gateway.core.reply import Answered, Usage, Whole
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


class _Today:
    """The Date header, formatted once a second."""

    def __init__(self) -> None:
        self.second = -1
        self.line = ""

    def at(self, wall: float) -> str:
        second = int(wall)
        if second != self.second:
            self.second = second
            self.line = f"date: {formatdate(second, usegmt=True)}\r\n"
        return self.line


_today: Final = _Today()


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
    return (
        f"{_STATUS_LINES[status]}{_today.at(visit.clock.wall())}content-type: {content_type}\r\n"
        f"x-request-id: {visit.id}\r\n{lines}\r\n"
    ).encode("latin-1")


def explain(visit: Visit, answered: Answered) -> str:
    """Return the header lines that say who answered, why, and with what left out."""
    routed, attempts = None, 0
    for note in visit.notes:
        if isinstance(note, Attempted):
            attempts += 1
        elif isinstance(note, Routed):
            routed = note
    model = answered.model or (routed.model if routed else "")
    provider = answered.provider or (routed.provider if routed else "")
    lines = (
        f"x-turnout-model: {safe(model)}\r\nx-turnout-provider: {safe(provider)}\r\n"
        f"x-turnout-attempts: {attempts}\r\nx-turnout-policy: {safe(visit.policy)}\r\n"
    )
    if routed is not None:
        lines += f"x-turnout-route: {safe(routed.reason)}\r\n"
    if answered.dropped:
        lines += f"x-turnout-dropped: {safe(', '.join(answered.dropped))}\r\n"
        visit.dropped = answered.dropped
    if answered.degraded:
        lines += f"x-turnout-degraded: {safe(', '.join(answered.degraded))}\r\n"
    if answered.request_id:
        lines += f"x-turnout-upstream-request-id: {safe(answered.request_id)}\r\n"
        visit.upstream_id = answered.request_id
    return lines


def price_of(
    notes: Notes, catalogue: Catalogue, answered: Answered, usage: Usage | None
) -> int | None:
    """Return what the answer costs in micro-dollars, None when that is not known."""
    used = notes.last(Used)
    if used is not None:
        return used.micro_dollars
    model = catalogue.models.get(answered.model)
    if usage is None or model is None or model.price is None:
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
    lines = explain(visit, reply.answered)
    amount = price_of(visit.notes, catalogue, reply.answered, reply.usage)
    if amount is not None:
        lines += f"x-turnout-cost: {dollars(amount)}\r\n"
    if reply.usage is not None:
        lines += f"x-turnout-prompt-cached-tokens: {reply.usage.cached}\r\n"
    spent = overhead(visit.notes, visit.started, visit.clock.monotonic())
    lines += f"x-turnout-overhead-ms: {milliseconds(spent)}\r\n"
    send(visit, 200, reply.body, lines)


def send_error(visit: Visit, error: GatewayError) -> None:
    """Send an error in the caller's dialect."""
    status = status_of(error, visit.dialect)
    lines = retry_headers(error, len(visit.notes.all(Attempted)))
    if status == _UNAUTHENTICATED and isinstance(error, Unauthenticated):
        lines += 'www-authenticate: Bearer realm="turnout"\r\n'
    elif isinstance(error, WrongMethod):
        lines += f"allow: {error.allow}\r\n"
    elif isinstance(error, UpgradeRefused):
        lines += "upgrade: HTTP/1.1\r\n"
    send(visit, status, error_body(error, visit.dialect, visit.id), lines)


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
