"""A provider that is not there: deterministic answers at the pace and with the faults you want.

It speaks both dialects, costs nothing, and serves demos, tests and load tests.
"""

from math import ceil, inf
from typing import Annotated, Any, Final, Literal

from msgspec import Meta

from gateway.core.capability import NOTHING
from gateway.core.chat import ChatRequest
from gateway.core.errors import GatewayError
from gateway.core.ports import Call, Runtime
from gateway.core.reply import Answered, Reply, Stream, Usage, Whole
from gateway.providers.base import ProviderConfig, Seconds
from gateway.providers.simulated import shapes
from gateway.providers.simulated.answers import (
    Answer,
    Unanswerable,
    answer_to,
    count_prompt,
    inputs_of,
    vector_of,
)
from gateway.providers.simulated.laws import (
    Behaviour,
    Brownout,
    Errors,
    Fixed,
    Latency,
    Laws,
    RateLimit,
    Refused,
    Saturating,
    Served,
    Window,
)
from gateway.providers.simulated.pace import PacedBlocks, Room, Waiting, wait_until
from gateway.providers.transport.upstream_errors import broken, upstream_error

DIMENSIONS: Final = 256
MAX_DIMENSIONS: Final = 4096
Length = Annotated[int, Meta(ge=1, le=100_000)]


class SimulatedConfig(ProviderConfig, frozen=True, tag="simulated", kw_only=True):
    """A made-up provider. The same seed and the same requests in order give the same answers."""

    seed: Annotated[int, Meta(description="Fixes all chance.")] = 0
    latency: Annotated[Latency, Meta(description="How long answers take.")] = Fixed()
    answer_tokens: Annotated[Length, Meta(description="Mean length of an answer.")] = 40
    patience: Annotated[
        Seconds, Meta(description="Longest wait for a stream's next token, then a timeout.")
    ] = 30
    rate_limit: Annotated[RateLimit | None, Meta(description="Answer 429 beyond it.")] = None
    errors: Annotated[Errors | None, Meta(description="Failures by chance, in bursts.")] = None
    outage: Annotated[
        Literal["always"] | tuple[Window, ...],
        Meta(description="When there is no connection: seconds since start, or always."),
    ] = ()
    brownouts: Annotated[tuple[Brownout, ...], Meta(description="When everything is slower.")] = ()

    def build(self, name: str, runtime: Runtime) -> "Simulated":
        return Simulated(name, self, runtime)


class Simulated:
    """Answers by the laws of its configuration; seconds count from when it was built."""

    stands_in_for = NOTHING

    def __init__(self, name: str, config: SimulatedConfig, runtime: Runtime) -> None:
        self._name = name
        self._config = config
        self._clock = runtime.clock
        self._started = runtime.clock.monotonic()
        self._served = 0
        law = config.latency
        self._room = Room(law.concurrency if isinstance(law, Saturating) else None, runtime.clock)
        self._laws = Laws(
            Behaviour(
                seed=config.seed,
                latency=law,
                rate_limit=config.rate_limit,
                errors=config.errors,
                outage=config.outage,
                brownouts=config.brownouts,
            )
        )

    async def send(self, call: Call, /) -> Reply:
        """Answer, wait or fail as the laws have it. Raises UpstreamError."""
        self._served += 1
        try:
            answer = self._prepare(call)
        except Unanswerable as error:
            body = shapes.failure(call.request, 400, f"'{error.param}' {error}.", error.param)
            raise self._error(call, 400, {}, body) from error
        fate = self._fate(call, answer)
        seconds = call.target.first_token if call.request.stream else None
        by = None if seconds is None else self._clock.monotonic() + seconds
        await self._enter(call, by)
        if call.request.stream:
            blocks = self._blocks(call, answer, fate, by)
            await blocks.prime()
            return Stream(blocks, blocks.tally, call.request.dialect, self._answered(call))
        try:
            return await self._whole(call, answer, fate)
        finally:
            self._room.leave()

    async def warm(self) -> None:
        """Do nothing: there is nothing to warm."""

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""

    def _prepare(self, call: Call) -> Answer:
        request, model = call.request, call.target.model.upstream_name
        if request.fields.get("n") not in (None, 1):
            raise Unanswerable("n", "can only be 1 here")
        if request.endpoint == "messages" and request.fields.get("max_tokens") is None:
            raise Unanswerable("max_tokens", "is required")
        if request.endpoint in {"embeddings", "count_tokens"}:
            if request.stream:
                raise Unanswerable("stream", "is not for this endpoint")
            _check_size(request.fields.get("dimensions"))
            return Answer((), "stop", count_prompt(request))
        return answer_to(request, model, self._config.answer_tokens)

    def _fate(self, call: Call, answer: Answer) -> Served:
        elapsed = self._clock.monotonic() - self._started
        fate = self._laws.decide(elapsed, asked=answer.asked, answered=len(answer.tokens))
        if isinstance(fate, Served):
            return fate
        if not fate.status:
            raise broken("upstream_refused_connection", "simulated outage")
        raise self._error(call, fate.status, *_refusal(call.request, fate))

    def _error(self, call: Call, status: int, headers: dict[str, str], body: bytes) -> GatewayError:
        now = self._clock.wall()
        return upstream_error(status, headers, body, call.request.dialect, now)

    async def _whole(self, call: Call, answer: Answer, fate: Served) -> Whole:
        pauses = fate.pauses if fate.reset_at is None else fate.pauses[: fate.reset_at + 1]
        await wait_until(
            self._clock, self._clock.monotonic() + sum(pauses), call.deadline, "upstream_timeout"
        )
        if fate.reset_at is not None:
            raise broken("upstream_reset", "simulated reset")
        return Whole(
            self._body(call, answer),
            call.request.dialect,
            Usage(input=answer.asked, output=len(answer.tokens)),
            self._answered(call),
        )

    def _body(self, call: Call, answer: Answer) -> bytes:
        request, model = call.request, call.target.model.upstream_name
        if request.endpoint == "count_tokens":
            return shapes.counted(answer.asked)
        if request.endpoint == "embeddings":
            size = request.fields.get("dimensions") or DIMENSIONS
            vectors = [vector_of(model, text, size) for text in inputs_of(request)]
            base64 = request.fields.get("encoding_format") == "base64"
            return shapes.embeddings(model, vectors, answer.asked, base64=base64)
        return shapes.whole(request, answer, self._head(call))

    def _blocks(self, call: Call, answer: Answer, fate: Served, by: float | None) -> PacedBlocks:
        request = call.request
        usage = Usage(input=answer.asked, output=len(answer.tokens))
        return PacedBlocks(
            shapes.blocks(request, answer, self._head(call)),
            fate,
            Waiting(self._clock, call.deadline, self._config.patience, by),
            (usage, shapes.finish_word(request, answer)),
            self._room.leave,
        )

    async def _enter(self, call: Call, by: float | None) -> None:
        patience = self._config.patience if call.request.stream else inf
        limit = min(call.deadline, self._clock.monotonic() + patience)
        if by is not None:
            limit = min(limit, by)
        late = "upstream_timeout" if limit == call.deadline else "upstream_first_byte_timeout"
        await self._room.enter(limit, late)

    def _head(self, call: Call) -> shapes.Head:
        prefix = "msg" if call.request.endpoint == "messages" else "chatcmpl"
        model = call.target.model.upstream_name
        return shapes.Head(f"{prefix}-{call.id}-{self._served}", model, int(self._clock.wall()))

    def _answered(self, call: Call) -> Answered:
        return Answered(
            provider=self._name,
            model=call.target.model.name,
            request_id=f"sim-{call.id}-{self._served}",
        )


def _refusal(request: ChatRequest, fate: Refused) -> tuple[dict[str, str], bytes]:
    body = shapes.failure(request, fate.status, "Simulated failure: try again later.")
    if fate.retry_after is None:
        return {}, body
    return {"retry-after-ms": str(ceil(fate.retry_after * 1000))}, body


def _check_size(size: Any) -> None:  # noqa: ANN401 - whatever the caller put there
    if size is None:
        return
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= MAX_DIMENSIONS:
        raise Unanswerable("dimensions", f"must be a whole number of 1 to {MAX_DIMENSIONS}")
