"""One request's way to an answer that is not at hand: look, wait for another, or ask and keep."""

import asyncio
from collections.abc import Callable
from math import inf
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.answers import Answer
from gateway.core.cache import Cache, Found
from gateway.core.embedding import Embedded
from gateway.core.errors import (
    GatewayError,
    InternalError,
    NotCached,
    Overloaded,
    UpstreamError,
    UpstreamRefused,
)
from gateway.core.exchange import Exchange
from gateway.core.flights import Flight
from gateway.core.notes import Cached, CacheResult, Queued, StreamEnded, Verdict
from gateway.core.ports import Runtime
from gateway.core.reply import Reply, Stream, Watched, Whole, when_over
from gateway.core.stage import Next
from gateway.stages.modes import told
from gateway.stages.semantic_cache.admission import unfit_end, unfit_source
from gateway.stages.semantic_cache.audit.auditor import Auditor, Case
from gateway.stages.semantic_cache.call import Call
from gateway.stages.semantic_cache.directives import OURS, Directives
from gateway.stages.semantic_cache.keeping import Keeper, Times, Whence
from gateway.stages.semantic_cache.lookup import Looked, Lookup
from gateway.stages.semantic_cache.recording import Recording
from gateway.stages.semantic_cache.replaying import replay
from gateway.stages.semantic_cache.scope import Asked

STAGE: Final = "semantic_cache"
VERDICTS: Final[dict[CacheResult, Verdict]] = {
    "hit-exact": Verdict(STAGE, "hit-exact"),
    "hit-semantic": Verdict(STAGE, "hit-semantic"),
    "miss": Verdict(STAGE, "miss"),
    "bypass": Verdict(STAGE, "bypass"),
}


class Parts(Struct, frozen=True):
    """What all errands of one stage share.

    `now` is the epoch time; `pace` is in tokens a second, None for at once.
    """

    cache: Cache
    runtime: Runtime
    lookup: Lookup
    keeper: Keeper
    auditor: Auditor
    times: Times
    now: Callable[[], float]
    pace: int | None


def serve(parts: Parts, exchange: Exchange, found: Found, now: float, reason: str = "") -> Reply:
    """Return a stored answer as a reply, with a note of it."""
    answer, notes = found.answer, exchange.notes
    result: CacheResult = "hit-semantic" if found.semantic else "hit-exact"
    age = now - answer.stored if now > answer.stored else 0.0
    risk = parts.auditor.risk(exchange) if found.semantic else ""
    notes.add(VERDICTS[result])
    notes.add(Cached(result, reason, age, answer.id, answer.model, answer.micro_dollars, risk))
    return replay(answer, exchange, parts.runtime.clock, parts.pace)


def note(exchange: Exchange, result: CacheResult, reason: str = "") -> None:
    """Leave behind that no stored answer was served."""
    exchange.notes.add(Cached(result, reason))
    exchange.notes.add(VERDICTS[result])


class Errand:
    """What is done for one request. Times are epoch seconds, as answers have them."""

    __slots__ = ("asked", "exchange", "now", "oldest", "parts", "proceed", "stale", "wish", "would")

    def __init__(
        self,
        parts: Parts,
        exchange: Exchange,
        proceed: Next,
        asked: Asked,
        *,
        wish: Directives,
        now: float,
    ) -> None:
        self.parts = parts
        self.exchange = exchange
        self.proceed = proceed
        self.asked = asked
        self.wish = wish
        self.now = now
        self.oldest = -inf if wish.max_age is None else now - wish.max_age
        self.stale: Answer | None = None
        """Too old to be served, but better than an error."""
        self.would: Found | None = None
        """Near, but not served: to be compared with the answer."""

    async def run(self) -> Reply:
        """Return the answer. Raises NotCached where only a stored one would do."""
        try:
            return await self._run()
        except GatewayError as error:
            instead = self._instead(error)
            if instead is None:
                raise
            return instead

    async def _run(self) -> Reply:
        cache, key = self.parts.cache, self.asked.key
        if not self.wish.read:
            note(self.exchange, "bypass", self.wish.reason)
            return await self._alone()
        answer = cache.shelf.get(key, self.now)
        if answer is not None:
            reply = self._served(Found(answer))
            if reply is not None:
                cache.shelf.put(answer, self.asked.raw)
                return reply
        if self.wish.only:
            return await self._only()
        flight = cache.flights.find(key)
        if flight is None:
            return await self._lead(cache.flights.begin(key))
        return await self._follow(flight)

    def _served(self, found: Found, reason: str = "") -> Reply | None:
        """Return a stored answer as a reply, if it is new enough."""
        answer, times = found.answer, self.parts.times
        if answer.stored < self.oldest or answer.context != self.exchange.context:
            return None
        if self.now < answer.fresh_until:
            if found.semantic:
                case = Case(self.exchange, self.asked, found)
                self.parts.auditor.served(case, may_ask=not self.wish.only)
            return serve(self.parts, self.exchange, found, self.now, reason)
        if self.now < answer.fresh_until + times.stale_while_revalidate:
            self._renew()
            return serve(self.parts, self.exchange, found, self.now, "stale")
        if self.now < answer.fresh_until + times.stale_if_error:
            self.stale = answer
        return None

    def _renew(self) -> None:
        """Ask for a fresh answer behind the caller's back, once at a time."""
        cache, exchange, key = self.parts.cache, self.exchange, self.asked.key
        again = exchange.again
        if again is None or key in cache.renewed:
            return

        async def renew() -> None:
            try:
                await again(replace(exchange, headers={**exchange.headers, OURS: "refresh"}))
            finally:
                cache.renewed.discard(key)

        cache.renewed.add(key)
        cache.events["renewed", ""] += 1
        self.parts.runtime.spawn("renew an answer", renew())

    async def _look(self) -> Looked:
        looked = await self.parts.lookup.find(
            *(self.exchange, self.asked, self.now, self.oldest),
            standing=self.parts.auditor.standing,
        )
        self.would = looked.would
        return looked

    async def _only(self) -> Reply:
        looked = await self._look()
        reply = self._served(looked.found) if looked.found is not None else None
        if reply is None:
            note(self.exchange, "miss", looked.reason)
            raise NotCached("There is no stored answer to this request.", param=OURS)
        return reply

    async def _follow(self, flight: Flight[Found]) -> Reply:
        """Wait for the answer to an equal request."""
        events = self.parts.cache.events
        events["flight", "followed"] += 1
        clock = self.parts.runtime.clock
        began = clock.monotonic()
        landed = await flight.wait()
        self.exchange.notes.add(Queued(clock.monotonic() - began))
        if isinstance(landed, Flight):
            events["flight", "promoted"] += 1
            return await self._lead(landed)
        reply = self._served(landed, "coalesced") if landed is not None else None
        if reply is None:
            note(self.exchange, "miss", "alone")
            return await self._alone()
        return reply

    async def _lead(self, flight: Flight[Found]) -> Reply:
        """Find or fetch the answer for all who wait for it."""
        try:
            begun, flight.call = flight.call, None
            if isinstance(begun, Call):  # by a leader who left
                note(self.exchange, "miss", "took_over")
                return await self._whole(flight, begun, near=False)
            looked = await self._look()
            reply = self._served(looked.found) if looked.found is not None else None
            if reply is not None:
                flight.land(looked.found)
                return reply
            note(self.exchange, "miss", looked.reason)
            if self.exchange.request.stream:
                return self._recorded(await self.proceed(self.exchange), flight, looked.near)
            call = Call(self.parts.runtime, self.exchange, self.proceed, self.now)
            return await self._whole(flight, call, near=looked.near)
        except asyncio.CancelledError:
            flight.hand_over()
            raise
        except BaseException:
            flight.fail()
            raise

    async def _whole(self, flight: Flight[Found], call: Call, *, near: Embedded | bool) -> Reply:
        """Wait for a call that is made for all who wait; who leads pays for it."""
        try:
            await call.over()
        except asyncio.CancelledError:
            if flight.followed:
                flight.call = call
            else:
                await call.cancel()
                call.pay(self.exchange)
            raise
        call.pay(self.exchange)
        reply = call.reply()
        answer = self._kept(
            Whence(reply.body, reply.usage, reply.answered, call.notes, call.began), near
        )
        flight.land(None if answer is None else Found(answer))
        if self.exchange.request.stream:  # the call was for one who wanted it whole
            return told(reply, self.exchange.request)
        return reply

    async def _alone(self) -> Reply:
        """Ask without regard to others."""
        reply = await self.proceed(self.exchange)
        near = self.parts.lookup.may_be_near(self.exchange, self.asked) == ""
        if not isinstance(reply, Whole):
            return self._recorded(reply, None, near)
        notes = self.exchange.notes
        self._kept(Whence(reply.body, reply.usage, reply.answered, notes, self.now), near)
        return reply

    def _kept(self, whence: Whence, near: Embedded | bool) -> Answer | None:
        parts = self.parts
        kept = parts.keeper.keep(self.exchange, self.asked, whence, parts.now(), near)
        if not isinstance(kept, Answer):
            self._tell(kept)
            return None
        if self.would is not None:
            parts.auditor.would(Case(self.exchange, self.asked, self.would), kept.body)
        return kept

    def _tell(self, unstored: str) -> None:
        """Leave behind why the answer is not stored."""
        cached = self.exchange.notes.last(Cached)
        if cached is not None:
            cached.unstored = unstored

    def _recorded(self, reply: Reply, flight: Flight[Found] | None, near: Embedded | bool) -> Reply:
        """Return a stream that is gathered as it passes, and kept when it was complete."""
        if isinstance(reply, Whole):  # from a stage of the policy's own that answered otherwise
            raise InternalError("The gateway failed.", detail="whole in place of a stream")
        recording = Recording(self.exchange.request.endpoint)
        runtime = self.parts.runtime

        def over() -> None:
            unfit = self._unfit(recording, reply)
            if not unfit:
                runtime.spawn("keep a stream", self._keep(recording, reply, flight, near))
                return
            self._tell(self.parts.keeper.refused(unfit))
            if flight is not None:
                self._end(flight, unfit)

        stream = when_over(reply, over, runtime.clock.monotonic)
        if isinstance(stream.blocks, Watched):
            stream.blocks.tap(recording.take)
        return stream

    def _unfit(self, recording: Recording, stream: Stream) -> str:
        """Return why a stream that is over is not kept, as far as that is known at its end."""
        source = unfit_source(stream.answered, self.exchange.notes)
        unfit = unfit_end(stream.tally) or source
        if not unfit and stream.tally.usage is None:  # a whole answer tells it
            unfit = "no_usage"
        return unfit or ("large" if recording.too_large else "")

    def _end(self, flight: Flight[Found], unfit: str) -> None:
        """Let those go who wait for a stream that is not kept."""
        ended = self.exchange.notes.last(StreamEnded)
        if unfit != "cut":
            flight.land(None)
        elif ended is not None and ended.reason == "client_gone":
            flight.hand_over()
        else:
            flight.fail()

    async def _keep(
        self,
        recording: Recording,
        stream: Stream,
        flight: Flight[Found] | None,
        near: Embedded | bool,
    ) -> None:
        """Keep what a stream has told, and give it to those who wait."""
        found = None
        try:
            usage = stream.tally.usage
            body = await recording.whole(usage, self.parts.runtime.clock)
            if body is None:
                self.parts.keeper.refused("garbage")
            else:
                notes = self.exchange.notes
                whence = Whence(body, usage, stream.answered, notes, self.now)
                answer = self._kept(whence, near)
                found = None if answer is None else Found(answer)
        finally:
            if flight is not None:
                flight.land(found)

    def _instead(self, error: GatewayError) -> Reply | None:
        """Return the stale answer where a provider failed, if there is one."""
        failed = isinstance(error, UpstreamError | Overloaded)
        if self.stale is None or not failed or isinstance(error, UpstreamRefused):
            return None
        return serve(self.parts, self.exchange, Found(self.stale), self.now, "stale_if_error")
