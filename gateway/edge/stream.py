"""Streams to the caller: one write per block, signs of life, and never a silent end."""

from typing import Final

from gateway.core.catalogue import Catalogue
from gateway.core.charge import charge_of
from gateway.core.chat import Dialect
from gateway.core.errors import (
    OUT_OF_TIME,
    DeadlineExceeded,
    GatewayError,
    StreamCut,
    Unauthenticated,
    UpstreamTimeout,
)
from gateway.core.reply import Block, Stream
from gateway.core.sse import comment, encode_event, read_event, split_events
from gateway.edge.encode import EVENTS, dollars, explain, head, milliseconds, price_of
from gateway.edge.render import error_event
from gateway.edge.visit import ClientGone, Visit

_LINES: Final = "cache-control: no-cache\r\nx-accel-buffering: no\r\n"
_LAST_CHUNK: Final = b"0\r\n\r\n"
_SLACK: Final = 0.01
"""Seconds that a timer may be early."""
_SIGN_OF_LIFE: Final = {
    "openai": comment("keep-alive"),
    "anthropic": encode_event(b'{"type": "ping"}', "ping"),
}


class Relay:
    """Sends one stream to its caller, and ends it in every case."""

    __slots__ = (
        "_catalogue",
        "_deadline",
        "_explained",
        "_keepalive",
        "_stream",
        "_visit",
        "_wrote",
    )

    def __init__(
        self,
        visit: Visit,
        stream: Stream,
        catalogue: Catalogue,
        *,
        deadline: float,
        keepalive: float,
    ) -> None:
        self._visit = visit
        self._stream = stream
        self._catalogue = catalogue
        self._deadline = deadline
        self._keepalive = keepalive
        self._explained = False
        self._wrote = 0.0

    async def run(self) -> None:
        """Send everything. Raises ClientGone, or what broke the stream."""
        visit, stream = self._visit, self._stream
        connection, chunked, tally = visit.connection, visit.chunked, stream.tally
        monotonic = visit.clock.monotonic
        try:
            waiting = self._head()
            self._wrote = monotonic()
            connection.alarm.set(self._due(), self._tick)
            async for block in stream.blocks:
                if tally.clean and not self._explained:
                    block = self._with_explanation(block)  # noqa: PLW2901 - what is sent
                if not block:
                    continue
                data = b"%x\r\n%b\r\n" % (len(block), block) if chunked else block
                if waiting:
                    data, waiting = waiting + data, b""
                    visit.first_byte, visit.streaming = monotonic(), True
                transport = connection.transport
                if transport is None or transport.is_closing():
                    raise ClientGone
                transport.write(data)
                visit.sent += len(data)
                if connection.writing_paused:
                    await visit.drain()
                self._wrote = monotonic()
        finally:
            connection.alarm.off()
            await stream.blocks.aclose()
        self._end(waiting)

    def _head(self) -> bytes:
        visit = self._visit
        visit.stream, visit.status = True, 200
        lines = _LINES + explain(visit, self._stream.answered, visit.facts())
        return head(visit, 200, EVENTS, lines, None)

    def _end(self, waiting: bytes) -> None:
        """Send what ends a stream, after its head where there was no block to carry it."""
        visit, told = self._visit, self._stream.tally.error
        if waiting:
            visit.first_byte, visit.streaming = visit.clock.monotonic(), True
            visit.write(waiting)
        if told:
            visit.blame(StreamCut("The provider reported an error.", code=told))
        if not self._explained:
            visit.write(self._framed(_cut_line(visit) if told else self._explanation()))
        if visit.chunked:
            visit.write(_LAST_CHUNK)

    def _due(self) -> float:
        return min(self._deadline, self._wrote + self._keepalive)

    def _tick(self) -> None:
        """Ring for the deadline, or for silence that a sign of life must end."""
        visit = self._visit
        now = visit.clock.monotonic()
        if now >= self._deadline:
            visit.interrupt(out_of_time(visit))
            return
        if now >= self._due():
            self._show_life(now)
        visit.connection.alarm.set(self._due(), self._tick)

    def _show_life(self, now: float) -> None:
        """Write a sign of life, unless the client has yet to read what is already there."""
        visit = self._visit
        transport = visit.connection.transport
        self._wrote = now
        if visit.first_byte is None or transport is None or visit.connection.writing_paused:
            return
        data = self._framed(_SIGN_OF_LIFE[self._stream.dialect])
        transport.write(data)
        visit.sent += len(data)

    def _framed(self, block: Block) -> bytes:
        return b"%x\r\n%b\r\n" % (len(block), block) if self._visit.chunked else block

    def _explanation(self) -> Block:
        self._explained = True
        visit, stream = self._visit, self._stream
        facts, tally = visit.facts(), stream.tally
        amount = price_of(facts, self._catalogue, stream.answered, tally.usage)
        waited = tally.waited if facts.stream is None else 0.0  # else the facts know it
        return _cost_line(visit, amount, waited)

    def _with_explanation(self, block: Block) -> Block:
        """Put the explanation right before the terminal event of the block that carries it."""
        parts = split_events(block)
        for index in range(len(parts) - 1, -1, -1):
            if _terminal(parts[index], self._stream.dialect):
                parts.insert(index, self._explanation())
                return Block(b"".join(parts))
        return block


def _terminal(raw: Block, dialect: Dialect) -> bool:
    event = read_event(raw)
    if event is None:
        return False
    if dialect == "anthropic":
        return event.name == "message_stop"
    return event.data.startswith(b"[DONE]")


def _cost_line(visit: Visit, amount: int | None, waited: float, more: str = "") -> Block:
    """Return the comment that says what a stream cost, and the time that was our own.

    `waited` are seconds of waiting for blocks that the visit's facts do not have yet.
    """
    price = "" if amount is None else f"cost={dollars(amount)} "
    spent = visit.facts().overhead(visit.started + waited, visit.clock.monotonic())
    return comment(f"turnout {price}overhead-ms={milliseconds(spent)}{more}")


def _cut_line(visit: Visit) -> Block:
    """Return the comment behind a provider's own error event, which does not say what came."""
    more = f" delivered-tokens={_delivered(visit)}"
    return _cost_line(visit, _charged(visit), 0.0, more)


def _delivered(visit: Visit) -> int:
    """Return the output tokens of a stream that broke, as counted or guessed."""
    facts = visit.facts()
    seen = facts.passed or facts.used
    return seen.usage.output if seen else 0


def _charged(visit: Visit) -> int | None:
    """Return the micro-dollars that a stream is charged which broke, None when unknown."""
    charge = charge_of(visit.facts())
    return None if charge.counted == "nothing" else charge.amounts.micro_dollars


def send_broken_end(visit: Visit, error: GatewayError, dialect: Dialect) -> None:
    """Tell a stream's caller that it broke: one error event, then the end, never [DONE]."""
    # Without chunks only a closed connection tells the end; nor is it kept for a revoked key.
    visit.keep = visit.keep and visit.chunked and not isinstance(error, Unauthenticated)
    told = error_event(error, dialect, visit.id, _delivered(visit))
    block = _cost_line(visit, _charged(visit), 0.0) + told
    data = b"%x\r\n%b\r\n0\r\n\r\n" % (len(block), block) if visit.chunked else block
    visit.write(data)


def out_of_time(visit: Visit, detail: str = "") -> GatewayError:
    """Return the error for a request whose deadline has passed: its caller's own, or ours."""
    if visit.clock.monotonic() >= visit.own_deadline - _SLACK:
        return DeadlineExceeded(OUT_OF_TIME, detail=detail)
    return UpstreamTimeout(OUT_OF_TIME, code=DeadlineExceeded.code, detail=detail)
