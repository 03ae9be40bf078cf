"""Every way out of the house as a Protocol. Floors meet only here, handed over in Tools."""

from collections.abc import Callable, Coroutine, Mapping
from random import Random
from typing import Any, Protocol

from msgspec import Struct, field

from gateway.core.cache import Cache
from gateway.core.capacity import Capacity
from gateway.core.catalogue import Catalogue, Target
from gateway.core.chat import ChatRequest
from gateway.core.estimate import OutputHistory
from gateway.core.exchange import PromptTtl
from gateway.core.health import Health
from gateway.core.reply import Reply
from gateway.core.state import State
from gateway.core.traffic import TrafficLog


class Timer(Protocol):
    """A callback that has not run yet."""

    def cancel(self) -> None:
        """Forget it; harmless when it already ran."""
        ...


class Clock(Protocol):
    """Time, in seconds. `monotonic` for durations and deadlines, `wall` for people.

    `uptime` counts from the machine's start, suspension included, alike in all its processes.
    """

    def monotonic(self) -> float: ...
    def wall(self) -> float: ...
    def uptime(self) -> float: ...
    async def sleep(self, seconds: float, /) -> None: ...
    def after(self, seconds: float, callback: Callable[[], None], /) -> Timer:
        """Call back once on the running loop, `seconds` from now."""
        ...


class Task(Protocol):
    """A running background task."""

    def cancel(self) -> bool: ...
    def done(self) -> bool: ...


class Spawn(Protocol):
    """Start a named background task that is held, logged when it fails, and ended at shutdown."""

    def __call__(self, name: str, work: Coroutine[Any, Any, None], /) -> Task: ...


class Runtime(Struct, frozen=True):
    """Time, chance, ids and tasks: what no part takes from the language directly."""

    clock: Clock
    random: Random
    new_id: Callable[[], str]
    new_secret: Callable[[], str]
    """Returns 32 letters and digits, 190 random bits."""
    spawn: Spawn


class Call(Struct, frozen=True):
    """What a provider is asked to do. `deadline` is a `Clock.monotonic()` time.

    `drop_params` is leave to drop what the target cannot take; a target that the gateway chose
    loses refused sampling parameters even without it. `prompt_cache` is for providers that keep
    the beginnings of prompts only where they are told to.
    """

    id: str
    request: ChatRequest
    target: Target
    deadline: float
    drop_params: bool = False
    prompt_cache: PromptTtl | None = None


class Provider(Protocol):
    """One upstream. Whatever the caller's dialect, the reply speaks it."""

    @property
    def stands_in_for(self) -> frozenset[str]:
        """Parameters that it can do for a model which is not able to do them itself."""
        ...

    async def send(self, call: Call, /) -> Reply:
        """Ask the upstream. A Stream returns primed. Raises UpstreamError or CallerError.

        The reply is a Stream exactly when `call.request.stream` is true.
        """
        ...

    async def warm(self) -> None:
        """Pay the first call's costs now: connections, TLS, a model load. Raises UpstreamError."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


class Tools(Struct, frozen=True):
    """What stages are built from. Lives as long as the process; policies come and go."""

    runtime: Runtime
    providers: Mapping[str, Provider]
    catalogue: Catalogue
    state: State
    health: Health
    capacity: Capacity
    history: OutputHistory = field(default_factory=OutputHistory)
    """How long answers were."""
    cache: Cache | None = None
    """Where a `semantic_cache` stage keeps answers; None where there is no such stage."""
    traffic: TrafficLog | None = None
    """Where policies record; None where nothing is written, as in their tests."""
