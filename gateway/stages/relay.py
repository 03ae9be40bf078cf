"""The last stage: one request to one provider, its answer back, and what that took."""

import asyncio
from typing import Annotated, ClassVar, Final

from msgspec import Meta
from msgspec.structs import replace

from gateway.core.capability import fit
from gateway.core.capacity import Slot
from gateway.core.catalogue import Model, Target
from gateway.core.charge import may_have_used, passed_in, seen_passing, work_of
from gateway.core.chat import ALWAYS_WHOLE, ChatRequest, Endpoint
from gateway.core.errors import (
    OUT_OF_TIME,
    BadRequest,
    DeadlineExceeded,
    GatewayError,
    InternalError,
    StreamCut,
    UnknownModel,
    UpstreamError,
    is_deadline,
)
from gateway.core.estimate import input_tokens
from gateway.core.exchange import Exchange
from gateway.core.money import cost
from gateway.core.notes import (
    Attempted,
    End,
    Estimated,
    Passed,
    Queued,
    Routed,
    StreamEnded,
    Used,
    Work,
)
from gateway.core.ports import Call, Provider, Tools
from gateway.core.reply import (
    Reply,
    Stream,
    Tally,
    Usage,
    Watched,
    Whole,
)
from gateway.core.stage import Next, Stage
from gateway.stages.base import StagePolicy
from gateway.stages.modes import Gathered, Mode, asked_for, told, uncut

_CANCELLED: Final = "cancelled"


class RelayPolicy(StagePolicy, frozen=True, tag="relay"):
    """Send the request to its model's provider. Always the last stage."""

    answers: ClassVar[bool] = True

    mode: Annotated[
        Mode,
        Meta(
            description=(
                "direct: the provider is asked as the caller asked. buffered: the provider always "
                "streams, so that a silent one is noticed early, and a caller who wants a whole "
                "answer gets it whole. replay: the provider always answers whole, and a caller "
                "who wants a stream gets the answer as one."
            )
        ),
    ] = "direct"

    def build(self, tools: Tools) -> Stage:
        """Return the stage that calls providers."""
        return Relay(tools, self.mode)


class Relay:
    """Sends an exchange to the first target of its route."""

    def __init__(self, tools: Tools, mode: Mode = "direct") -> None:
        self._tools = tools
        self._clock = tools.runtime.clock
        self._mode = mode

    async def __call__(self, exchange: Exchange, _proceed: Next, /) -> Reply:
        """Return the provider's reply. Raises GatewayError."""
        target = self._target(exchange)
        model, request = target.model, exchange.request
        _check_served(model, request)
        provider = self._tools.providers.get(model.provider)
        if provider is None:
            raise UnknownModel("This model's provider is not available here.", param="model")
        fitting, dropped = fit(
            request, model, provider.stands_in_for, may_drop=exchange.drop_params
        )
        asked = asked_for(fitting, self._mode, can_stream=model.may("streaming"))
        call = Call(
            exchange.id,
            asked,
            target,
            exchange.deadline,
            exchange.drop_params,
            exchange.prompt_cache,
        )
        slot = self._tools.capacity.at(model).take() or await self._wait(model, exchange)
        reply = await self._attempt(provider, call, exchange, slot)
        if dropped:
            listed = (*dropped, *reply.answered.dropped)
            reply = replace(reply, answered=replace(reply.answered, dropped=listed))
        if asked.stream and not request.stream:
            return await self._fold(reply, call, exchange, slot)
        if request.stream and not asked.stream:
            return self._replay(reply, exchange, model, slot)
        if isinstance(reply, Whole):
            self._use(exchange, model, reply.usage, passed_in(reply.body))
            return reply
        return self._account(reply, exchange, model, slot)

    def _target(self, exchange: Exchange) -> Target:
        if exchange.route is not None:
            return exchange.route.targets[0]
        target = self._tools.catalogue.find(exchange.request.model)
        model, reason = target.model, "alias" if target.chosen else "named"
        exchange.notes.add(Routed(model.name, model.provider, reason))
        return target

    async def _wait(self, model: Model, exchange: Exchange) -> Slot:
        """Return a slot when it is this caller's turn. Raises Overloaded."""
        started = self._clock.monotonic()
        slots, cost = self._tools.capacity.at(model), input_tokens(exchange.request)
        slot = await slots.wait(exchange.caller, cost, exchange.deadline)
        exchange.notes.add(Queued(self._clock.monotonic() - started))
        return slot

    async def _attempt(
        self, provider: Provider, call: Call, exchange: Exchange, slot: Slot
    ) -> Reply:
        """Ask the provider. The slot is given back with the answer, or held for its stream."""
        started, code, status = self._clock.monotonic(), InternalError.code, InternalError.status
        work: Work = "unknown"
        route = exchange.route
        if route is not None and route.sent is not None:
            route.sent(started)
        try:
            reply = await provider.send(call)
            code, status, work = "", 200, "done"
            if isinstance(reply, Whole):
                slot.answered(reply.usage)
            else:
                slot.began()
            return reply
        except GatewayError as error:
            slot.failed(error)
            code, status, work = error.code, _status(error), work_of(error)
            if exchange.hurried and is_deadline(error):
                code = DeadlineExceeded.code
                raise DeadlineExceeded(OUT_OF_TIME, detail=error.detail) from error
            raise
        except asyncio.CancelledError:
            code, status = _CANCELLED, 0
            raise
        finally:
            if code:
                slot.back()
            model, ended = call.target.model, self._clock.monotonic()
            exchange.notes.add(
                Attempted(model.provider, model.name, started, ended, code, status, work)
            )
            if work == "unknown":
                self._estimate(exchange, model)

    def _estimate(self, exchange: Exchange, model: Model) -> None:
        """Note what a provider that gave no answer may have used."""
        request = exchange.request
        kind = (exchange.caller.tenant, exchange.policy, request.endpoint, model.name)
        learned = self._tools.history.of(kind).high
        exchange.notes.add(Estimated(may_have_used(request, model, learned)))

    def _account(self, stream: Stream, exchange: Exchange, model: Model, slot: Slot) -> Stream:
        """Return the stream with its end noted, whoever ends it."""

        def ended(error: BaseException | None) -> None:
            tally = stream.tally
            slot.ended(tally)
            late = self._clock.monotonic() >= exchange.deadline
            if error is not None and is_deadline(error):
                late, error = True, GeneratorExit()
            reason, code = _end(error, tally, late=late)
            exchange.notes.add(
                StreamEnded(
                    reason=reason,
                    blocks=tally.blocks,
                    size=tally.size,
                    longest_gap=tally.longest_gap,
                    upstream_seconds=tally.waited,
                    code=code,
                )
            )
            final = tally.clean or tally.finish is not None
            passed = tally.passed or tally.blocks
            self._use(exchange, model, tally.usage, passed, final=final)

        timed = Watched(stream.blocks, stream.tally, ended, self._clock.monotonic)
        return replace(stream, blocks=timed)

    def _use(
        self,
        exchange: Exchange,
        model: Model,
        usage: Usage | None,
        passed: int,
        *,
        final: bool = True,
    ) -> None:
        """Note what was used; `passed` are the output tokens that we saw."""
        if usage is not None and not (final and usage.doubtful):
            price = cost(usage, model.price) if model.price else None
            exchange.notes.add(Used(model.name, usage, price))
            if final:
                return
        if exchange.request.endpoint != "count_tokens":
            seen = seen_passing(exchange.request, model, usage, passed)
            price = cost(seen, model.price) if model.price else None
            exchange.notes.add(Passed(model=model.name, usage=seen, micro_dollars=price))

    async def _fold(self, reply: Reply, call: Call, exchange: Exchange, slot: Slot) -> Whole:
        """Read a stream to its end and return it whole. Nothing has left for the caller yet."""
        if not isinstance(reply, Stream):
            raise TypeError("a provider answered whole to a stream request")
        gathered = Gathered(reply, exchange.request)
        model = call.target.model
        stream = self._account(replace(reply, blocks=gathered), exchange, model, slot)
        try:
            async for _ in stream.blocks:
                pass
        except StreamCut as error:
            raise uncut(error) from error
        finally:
            await stream.blocks.aclose()
        body, usage = gathered.whole()
        return Whole(body, stream.dialect, stream.tally.usage or usage, stream.answered)

    def _replay(self, reply: Reply, exchange: Exchange, model: Model, slot: Slot) -> Stream:
        """Return a whole answer as the stream that the caller asked for."""
        if not isinstance(reply, Whole):
            raise TypeError("a provider streamed to a request for a whole answer")
        return self._account(told(reply, exchange.request), exchange, model, slot)


def _check_served(model: Model, request: ChatRequest) -> None:
    endpoint: Endpoint = "chat" if request.dialect == "anthropic" else request.endpoint
    if endpoint not in model.endpoints:
        raise BadRequest(
            f"This model does not serve {endpoint}; it serves {', '.join(model.endpoints)}.",
            param="model",
        )
    if request.stream and request.endpoint in ALWAYS_WHOLE:
        raise BadRequest("This endpoint does not stream.", param="stream")


def _status(error: GatewayError) -> int:
    """Return what the provider answered with, or what the caller hears where it did not."""
    return (error.provider_status if isinstance(error, UpstreamError) else 0) or error.status


def _end(error: BaseException | None, tally: Tally, *, late: bool) -> tuple[End, str]:
    if tally.error:
        return "upstream_cut", tally.error
    if error is None or (isinstance(error, GeneratorExit) and tally.clean):
        return "done", ""
    if isinstance(error, UpstreamError):
        return "upstream_cut", error.code
    if isinstance(error, GatewayError):
        return "error", error.code
    if isinstance(error, Exception):
        return "error", InternalError.code
    return ("error", DeadlineExceeded.code) if late else ("client_gone", "")
