"""`record:` in a policy: which of its requests are written to the traffic log."""

import asyncio
from collections.abc import Iterator, Sequence
from math import inf
from typing import Annotated, Final

from msgspec import Meta, Struct

from gateway.core.errors import GatewayError
from gateway.core.exchange import Exchange
from gateway.core.notes import StreamEnded
from gateway.core.outcome import gather
from gateway.core.patterns import matcher
from gateway.core.ports import Runtime, Tools
from gateway.core.reply import Block, Reply, Stream, Watched, Whole, when_over
from gateway.core.stage import Next, Stage
from gateway.core.traffic import Keep, Record, Seen, Timing, TrafficLog, cache_said, ms, tried
from gateway.stages.names import Names, Problem
from gateway.stages.when import Texts, several

LARGEST: Final = 256 << 10
"""Bytes of a request that is recorded; masking more would hold others up."""
LARGEST_ANSWER: Final = 1 << 20
CLIENT_GONE: Final = 499
MEGABYTE: Final = 1_000_000


class RecordPolicy(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Requests, and by leave answers, that are written down in full."""

    share: Annotated[
        float, Meta(gt=0, le=1, description="Part of the requests, chosen by chance.")
    ] = 1
    tenant: Annotated[
        Texts | None, Meta(description="Whose, `*` for any text. Left out: everybody's.")
    ] = None
    answers: Annotated[bool, Meta(description="true: answers too, streams put together.")] = False
    days: Annotated[
        int, Meta(ge=1, le=90, description="After so many days they are deleted, at most.")
    ] = 7
    megabytes: Annotated[
        int,
        Meta(ge=1, le=1_000_000, description="Of more than so many the oldest are deleted."),
    ] = 1000

    def check(self, names: Names) -> Iterator[Problem]:
        """Yield what recording means."""
        del names
        whose = ", ".join(several(self.tenant)) or "every tenant"
        what = "requests and answers" if self.answers else "requests"
        told = f"{what} of {whose} are written to the data directory in full, for {self.days} days."
        yield Problem((), f"{told} Remove it unless those people know.", "warning")

    def build(self, tools: Tools, traffic: TrafficLog) -> Stage:
        """Return what records, to stand before all stages."""
        return Recorder(self, tools.runtime, traffic)


class Recorder:
    """Writes down what came and what became of it."""

    def __init__(self, policy: RecordPolicy, runtime: Runtime, traffic: TrafficLog) -> None:
        self._share = policy.share
        self._answers = policy.answers
        self._whose = None if policy.tenant is None else matcher(several(policy.tenant))
        self._keep = Keep(policy.days, policy.megabytes * MEGABYTE)
        self._random = runtime.random
        self._clock = runtime.clock
        self._traffic = traffic

    async def __call__(self, exchange: Exchange, proceed: Next, /) -> Reply:
        """Pass the request on. Raises what comes behind."""
        if not self._wanted(exchange):
            return await proceed(exchange)
        visit = _Visit(exchange, self._clock.monotonic(), self._clock.wall())
        try:
            reply = await proceed(exchange)
        except GatewayError as error:
            self._put(visit, error.status, error.code)
            raise
        except asyncio.CancelledError:
            self._put(visit, CLIENT_GONE, "cancelled")
            raise
        if isinstance(reply, Whole):
            short = self._answers and len(reply.body) <= LARGEST_ANSWER
            self._put(visit, answer=(reply.body,) if short else ())
            return reply
        return self._followed(visit, reply)

    def _wanted(self, exchange: Exchange) -> bool:
        if self._whose is not None and not self._whose(exchange.caller.tenant):
            return False
        if self._share < 1 and self._random.random() >= self._share:
            return False
        if len(exchange.request.body) > LARGEST:
            self._traffic.too_large()
            return False
        return True

    def _followed(self, visit: "_Visit", stream: Stream) -> Stream:
        """Return the stream, at whose end the line is written."""
        visit.first = self._clock.monotonic()
        blocks = _Blocks()

        def over() -> None:
            code = stream.tally.error or ("" if stream.tally.clean else _cut(visit))
            self._put(visit, code=code, answer=() if code else blocks.held, stream=True)

        watched = when_over(stream, over, self._clock.monotonic)
        if self._answers and isinstance(watched.blocks, Watched):
            watched.blocks.tap(blocks.take)
        return watched

    def _put(
        self,
        visit: "_Visit",
        status: int = 200,
        code: str = "",
        *,
        answer: Sequence[bytes] = (),
        stream: bool = False,
    ) -> None:
        record = _record(visit, self._clock.monotonic(), status, code)
        body = visit.exchange.request.body
        self._traffic.put(Seen(record, self._keep, body, answer, stream))


class _Visit:
    """A request under way, and when it came."""

    __slots__ = ("exchange", "first", "started", "wall")

    def __init__(self, exchange: Exchange, started: float, wall: float) -> None:
        self.exchange = exchange
        self.started = started
        self.wall = wall
        self.first: float | None = None


class _Blocks:
    """The blocks of a stream, none once they are too many."""

    def __init__(self) -> None:
        self.held: list[Block] = []
        self._size = 0

    def take(self, block: Block) -> None:
        self._size += len(block)
        if self._size <= LARGEST_ANSWER:
            self.held.append(block)
        else:
            self.held.clear()


def _cut(visit: _Visit) -> str:
    """Return why a stream is not complete."""
    ended = visit.exchange.notes.last(StreamEnded)
    return "cut" if ended is None else ended.code or ended.reason


def _record(visit: _Visit, now: float, status: int, code: str) -> Record:
    exchange, facts = visit.exchange, gather(visit.exchange.notes)
    caller, started = exchange.caller, visit.started
    request, due, seen = exchange.request, exchange.own_deadline, facts.used or facts.passed
    return Record(
        id=exchange.id,
        at=visit.wall,
        tenant=caller.tenant,
        key=caller.fingerprint,
        labels=caller.labels,
        policy=exchange.policy,
        version=exchange.version,
        endpoint=request.endpoint,
        headers=exchange.headers,
        betas=request.betas,
        api_version=request.version,
        drop_params=exchange.drop_params,
        max_cost=exchange.max_cost,
        deadline_ms=None if due == inf else ms(due - started),
        status=status,
        code=code,
        verdicts=facts.verdicts,
        cache=cache_said(facts),
        route=facts.route,
        tried=tried(facts.attempts),
        usage=seen.usage if seen is not None else None,
        micro_dollars=facts.micro_dollars,
        timing=Timing(
            ms(now - started),
            None if visit.first is None else ms(visit.first - started),
            ms(facts.waited),
            ms(facts.queued or 0.0),
        ),
    )
