"""State in Redis or Valkey for many nodes; each keeps its own ledger and knows the keys."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

from msgspec import Meta

from gateway.core.errors import StateUnavailable
from gateway.core.ports import Runtime
from gateway.core.secret import Secret
from gateway.core.state import State
from gateway.state.audits_shared import SharedAudits
from gateway.state.base import Bytes, StateConfig
from gateway.state.bulletin import SharedBulletin
from gateway.state.keys_file import KeysFile
from gateway.state.ledger_file import LedgerFile
from gateway.state.meter_file import MeterFile
from gateway.state.tallies import SharedTallies

if TYPE_CHECKING:
    from gateway.state.redis.answers import RedisAnswers
    from gateway.state.redis.link import Link

SCHEMES: Final = ("redis://", "rediss://", "unix://")
Seconds = Annotated[float, Meta(ge=0.001, le=60)]
Share = Annotated[float, Meta(ge=0, le=1)]
Prefix = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9:._-]{0,64}$", title="up to 64 letters, digits, `:`, `.`, `_` or `-`"
    ),
]


class RedisConfig(StateConfig, frozen=True, tag="redis", kw_only=True):
    """A Redis (7.0 or later) or Valkey server that all nodes share."""

    several_nodes: ClassVar[bool] = True

    url: Annotated[Secret, Meta(description="redis://, rediss:// (TLS) or unix://, with password.")]
    prefix: Annotated[Prefix, Meta(description="What the names of all our keys begin with.")] = (
        "turnout:"
    )
    timeout: Annotated[
        Seconds, Meta(description="Longest wait for an answer; there is no second try.")
    ] = 0.05
    connect_timeout: Annotated[
        Seconds, Meta(description="Longest wait for a connection; no request waits for one.")
    ] = 1.0
    lease: Annotated[
        Share,
        Meta(description="Part of each budget that one process may spend while Redis is away."),
    ] = 0.01
    answers: Bytes = 256 << 20

    def check(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield what is wrong with the address, which is not shown: it may hold a password."""
        if not self.url.present:
            yield ("url",), f"{self.url.lack}, or choose `kind: sqlite`."
        elif not self.url.reveal().startswith(SCHEMES):
            yield ("url",), f"{self.url.source} must begin with {' or '.join(SCHEMES)}."

    @asynccontextmanager
    async def open(self, runtime: Runtime, data: Path) -> AsyncIterator[State]:
        """Open the ledger and look for Redis; without it start all the same.

        Raises StateUnavailable when the ledger's file cannot be used, ValueError for a bad URL.
        """
        # The library is loaded only where it is used: it would add a tenth of a second to a start.
        from gateway.state.redis.answers import RedisAnswers  # noqa: PLC0415 - see above
        from gateway.state.redis.keys import RedisKeys  # noqa: PLC0415 - see above
        from gateway.state.redis.limiter import RedisLimiter  # noqa: PLC0415 - see above
        from gateway.state.redis.link import Link  # noqa: PLC0415 - see above
        from gateway.state.redis.recovery import Recovery  # noqa: PLC0415 - see above
        from gateway.state.redis.scripts import ANSWERS  # noqa: PLC0415 - see above

        clock = runtime.clock
        async with AsyncExitStack() as stack:
            ledger = LedgerFile(data, clock)
            await ledger.writer.start()
            stack.push_async_callback(ledger.writer.close)
            address = (self.url.reveal(), self.prefix, self.timeout, self.connect_timeout)
            link = Link(*address, clock)
            stack.callback(runtime.spawn("call redis", link.work()).cancel)
            meter = MeterFile(ledger.writer, clock)
            stack.callback(meter.hand_over)
            limiter = RedisLimiter(link, meter, clock, self.lease)
            keys = RedisKeys(link, KeysFile(ledger.writer, clock))
            recovery = Recovery(limiter, keys, link, meter=meter, runtime=runtime)
            await recovery.start()
            stack.callback(runtime.spawn("watch redis", recovery.watch()).cancel)
            large = Link(*address, clock, scripts=ANSWERS)
            answers = RedisAnswers(large, runtime, limiter.now, self.answers)
            await _follow(answers, runtime, stack, present=link.connected)
            bulletin, audits, tallies = _share(link, limiter.now, runtime, stack)

            def problem() -> str:
                return recovery.problem or ledger.writer.problem

            yield State(limiter, keys, ledger, bulletin, answers, audits, tallies, problem)
            await tallies.look()
            for late in (limiter, answers):
                with suppress(StateUnavailable):
                    await late.flush()


async def _follow(
    answers: "RedisAnswers", runtime: Runtime, stack: AsyncExitStack, *, present: bool
) -> None:
    for name, work in answers.tasks():
        stack.callback(runtime.spawn(name, work).cancel)
    if present:
        await answers.start()


def _share(
    link: "Link", now: Callable[[], float], runtime: Runtime, stack: AsyncExitStack
) -> tuple[SharedBulletin, SharedAudits, SharedTallies]:
    """Return what processes tell each other through Redis, kept current until the stack ends."""
    from gateway.state.redis import audits, bulletin, tallies  # noqa: PLC0415 - as in `open`

    me, clock = runtime.new_id(), runtime.clock
    notices = SharedBulletin(bulletin.in_redis(link), clock, me)
    checks = SharedAudits(audits.RedisAudits(link), clock)
    counts = SharedTallies(tallies.in_redis(link, me), now, clock)
    for name, work in (
        ("follow health", notices.keep_current()),
        ("follow audits", checks.keep_followed()),
        ("share tallies", counts.keep_current()),
    ):
        stack.callback(runtime.spawn(name, work).cancel)
    return notices, checks, counts
