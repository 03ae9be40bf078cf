"""The composition root: the one file that puts concrete things together."""

import asyncio
import ctypes
import errno
import gc
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, structs

from gateway.core.catalogue import Catalogue
from gateway.core.errors import GatewayError, StateUnavailable
from gateway.core.health import Health
from gateway.core.outcome import Outcome
from gateway.core.ports import Clock, Provider, Runtime, Spawn, Tools
from gateway.core.secret import Secret
from gateway.core.state import State
from gateway.edge.admin import Admin, open_admin
from gateway.edge.admin_routes import admin_routes
from gateway.edge.identity import Identity
from gateway.edge.readiness import Readiness, Warmed
from gateway.edge.server import Edge, open_edge
from gateway.edge.service import Service
from gateway.policy.reload import Reloaded, Reloader
from gateway.policy.setup import Folders, Setup
from gateway.policy.snapshot import Holder, build_snapshot
from gateway.policy.watch import watch
from gateway.providers import AnyProvider
from gateway.providers.transport.client import PoolStats, Transport
from gateway.runtime import open_runtime
from gateway.settings import Address, parse_address
from gateway.telemetry.fold import fold
from gateway.telemetry.health import HealthMetrics, HealthNews
from gateway.telemetry.log import Log
from gateway.telemetry.metrics import Metrics

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_LARGE_BLOCK: Final = 1 << 20
PROBES: Final = frozenset({"/livez", "/readyz"})


class CannotStart(Exception):
    """An address or a folder is not to be had; the text says which, why and the cure."""


class Gateway(Struct, frozen=True):
    """A running gateway."""

    edge: Edge
    readiness: Readiness
    process: "Process"
    port: int
    admin_port: int


@asynccontextmanager
async def open_gateway(
    setup: Setup, log: Log, data: Path, *, shared: bool = False, admin: str = ""
) -> AsyncIterator[Gateway]:
    """Serve until the end of the block. All that is written goes below `data`.

    `shared` lets other processes listen on the same port; `admin` is the path of a unix socket to
    use instead of the configured admin address. Raises CannotStart.
    """
    for secret in secrets_of(setup):
        log.register(secret)
    async with AsyncExitStack() as stack:
        runtime = await stack.enter_async_context(open_runtime(_failed(log)))
        tools = Tools(
            runtime=runtime,
            providers=_providers(setup, runtime),
            catalogue=setup.catalogue,
            state=await stack.enter_async_context(_state(setup, runtime, data)),
            health=Health(runtime.random, HealthNews(log)),
        )
        for provider in tools.providers.values():
            stack.push_async_callback(provider.aclose)
        readiness = Readiness(store=tools.state.problem)
        holder, reloader = _policies(setup, tools, readiness, log)
        metrics = _metrics(tools, reloader, lambda: edge.in_flight)
        service = Service(
            runtime=runtime,
            limits=setup.settings.limits,
            keys=Identity(setup.settings.keys),
            holder=holder,
            catalogue=setup.catalogue,
            report=Report(metrics, log, runtime.clock, setup.catalogue),
            readiness=readiness,
        )
        edge = await stack.enter_async_context(_door(setup, service, shared=shared))
        process = Process(readiness, metrics, reloader, tools)
        operator = await stack.enter_async_context(_desk(setup, process, admin))
        warming = Warming(readiness, runtime.clock, log)
        warming.start(setup.providers, tools.providers, runtime.spawn)
        follow(setup.folders, process, runtime, log)
        yield Gateway(edge, readiness, process, port=edge.port, admin_port=operator.port)


class Process:
    """What this process can tell and do for an operator."""

    def __init__(
        self, readiness: Readiness, metrics: Metrics, reloader: Reloader, tools: Tools
    ) -> None:
        self.readiness = readiness
        self._metrics = metrics
        self._reloader = reloader
        self._tools = tools

    async def metrics(self) -> bytes:
        """Return the Prometheus text."""
        return self._metrics.render()

    async def providers(self) -> Mapping[str, Any]:
        """Return what is known of every target's health."""
        return self._tools.health.report(self._tools.runtime.clock.monotonic())

    async def reload(self) -> Mapping[str, Any]:
        """Read the policies again and return what came of it."""
        return (await self._reloader.reload()).report()

    def reload_soon(self) -> None:
        """Begin to read the policies again; the log says what came of it."""

        async def reload() -> None:
            await self._reloader.reload()

        self._tools.runtime.spawn("reload policies", reload())


class Report:
    """What becomes of a finished request: it is counted and logged."""

    def __init__(self, metrics: Metrics, log: Log, clock: Clock, catalogue: Catalogue) -> None:
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._served = frozenset(catalogue.served())

    def __call__(self, outcome: Outcome) -> None:
        if outcome.endpoint in PROBES and outcome.fault is None:
            return  # asked every second by whoever watches us; only trouble is news
        self._metrics.observe(outcome)
        self._log.request(fold(outcome, self._clock.wall(), self._served))


def secrets_of(setup: Setup) -> Iterator[Secret]:
    """Yield every secret that the configuration points to and that is there."""
    held: list[object] = [*setup.settings.keys.values(), setup.settings.admin_token]
    for config in (*setup.providers.values(), setup.state):
        held += structs.asdict(config).values()
    yield from (value for value in held if isinstance(value, Secret) and value.present)


def tune_gc() -> None:
    """Keep what start made out of the collector's sight: a full pass over it takes 36 ms.

    Higher thresholds were measured too and changed nothing, so they stay as they are.
    """
    gc.collect()
    gc.freeze()


def tune_malloc() -> None:
    """Let large bodies go back to the system when they are freed.

    glibc keeps blocks of up to 32 MiB for itself once it has seen one freed, in an arena for each
    thread: some refused bodies of that size took the process from 50 to 300 MB for good.
    """
    with suppress(AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)
        mallopt(_M_TRIM_THRESHOLD, 4 * _LARGE_BLOCK)


@contextmanager
def listening(address: Address) -> Iterator[None]:
    """Turn a failure to bind `address` into CannotStart, in words that help."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or "it cannot be bound"
        if error.errno == errno.EADDRINUSE:
            reason = "another process listens there already. Stop it, or choose another address"
        elif error.errno == errno.EACCES:
            reason = "only a privileged process may listen there. Choose a port above 1023"
        raise CannotStart(
            f"{address.host if address.host.startswith('/') else address}: {reason}."
        ) from error


@asynccontextmanager
async def _state(setup: Setup, runtime: Runtime, data: Path) -> AsyncIterator[State]:
    async with AsyncExitStack() as stack:
        try:
            state = await stack.enter_async_context(setup.state.open(runtime, data))
        except StateUnavailable as error:
            raise CannotStart(f"{error.detail}. Mend it, or choose --data.") from error
        yield state


@asynccontextmanager
async def _door(setup: Setup, service: Service, *, shared: bool) -> AsyncIterator[Edge]:
    at = parse_address(setup.settings.listen)
    async with AsyncExitStack() as stack:
        with listening(at):
            opened = open_edge(service, at.host, at.port, reuse_port=shared)
            edge = await stack.enter_async_context(opened)
        yield edge


@asynccontextmanager
async def _desk(setup: Setup, process: Process, socket: str) -> AsyncIterator[Admin]:
    at = Address(socket, 0) if socket else parse_address(setup.settings.admin)
    async with AsyncExitStack() as stack:
        with listening(at):
            opened = open_admin(
                at.host, at.port, admin_routes(process), token=setup.settings.admin_token
            )
            admin = await stack.enter_async_context(opened)
        yield admin


def follow(folders: Folders, process: Process, runtime: Runtime, log: Log) -> None:
    """Keep up with the policies' files, and say when those that need a restart have changed."""

    async def reload() -> None:
        await process.reload()

    async def restart_needed() -> None:
        log.warning("config has changed: restart to use it", folder=str(folders.config.path))

    for name, folder, changed in (
        ("policies", folders.policies, reload),
        ("config", folders.config, restart_needed),
    ):
        runtime.spawn(f"watch {name}", watch(folder, runtime.clock, changed))


def _providers(setup: Setup, runtime: Runtime) -> Mapping[str, Provider]:
    return {
        name: config.build(name, runtime)
        for name, config in setup.providers.items()
        if not config.unusable()
    }


def _policies(
    setup: Setup, tools: Tools, readiness: Readiness, log: Log
) -> tuple[Holder, Reloader]:
    """Return the policies ready to serve, and what keeps them current."""
    for warning in setup.rules.warnings:
        log.warning("policies", problem=str(warning))
    holder = Holder(build_snapshot(setup.rules, tools), _retired(log))
    reloader = Reloader(setup, holder, tools, _told(log, readiness))
    readiness.policies = reloader.report
    return holder, reloader


def _told(log: Log, readiness: Readiness) -> Callable[[Reloaded], None]:
    """Return what tells people about a reload."""

    def tell(done: Reloaded) -> None:
        readiness.problems.pop("policies", None)
        if not done.ok:
            problems = [str(p) for p in done.problems if p.severity == "error"]
            readiness.problems["policies"] = "\n".join(problems)
            log.error("policies are wrong: the last good ones stay", problems=problems)
            return
        log.info("policies reloaded", version=done.version)
        for warning in done.warnings:
            log.warning("policies", problem=str(warning))

    return tell


def _retired(log: Log) -> Callable[[str], None]:
    def tell(version: str) -> None:
        log.info("policies retired", version=version)

    return tell


def _failed(log: Log) -> Callable[[str, BaseException], None]:
    def tell(task: str, error: BaseException) -> None:
        log.error("a background task failed", task=task, error=error)

    return tell


def _metrics(tools: Tools, reloader: Reloader, in_flight: Callable[[], int]) -> Metrics:
    return Metrics(
        in_flight=in_flight,
        pools=lambda: _pools(tools.providers),
        config=lambda: (reloader.last.version, reloader.last.ok),
        state=lambda: not tools.state.problem(),
        others=[HealthMetrics(tools.health, tools.runtime.clock)],
    )


def _pools(providers: Mapping[str, Provider]) -> Mapping[str, PoolStats]:
    transports = {name: getattr(each, "transport", None) for name, each in providers.items()}
    return {
        name: transport.stats
        for name, transport in transports.items()
        if isinstance(transport, Transport)
    }


class Warming:
    """Warms every provider at once; readiness waits for each at most its timeout."""

    def __init__(self, readiness: Readiness, clock: Clock, log: Log) -> None:
        self._readiness = readiness
        self._clock = clock
        self._log = log

    def start(
        self,
        configs: Mapping[str, AnyProvider],
        providers: Mapping[str, Provider],
        spawn: Spawn,
    ) -> None:
        """Start in the background what the providers' `warmup` blocks ask for."""
        for name, provider in providers.items():
            warmup = configs[name].warmup
            if warmup is not None:
                self._readiness.warmups[name] = Warmed()
                spawn(f"warm {name}", self._warm(name, provider, warmup.timeout))

    async def _warm(self, name: str, provider: Provider, patience: float) -> None:
        started = self._clock.monotonic()
        warmed = Warmed(state="ready")
        try:
            async with asyncio.timeout(patience):
                await provider.warm()
        except TimeoutError:
            warmed = Warmed(state="timeout", detail=f"not warm after {patience:g} s")
        except GatewayError as error:
            warmed = Warmed(state="failed", detail=self._log.redact(str(error)))
        warmed.seconds = self._clock.monotonic() - started
        self._readiness.warmups[name] = warmed
        write = self._log.info if warmed.state == "ready" else self._log.warning
        write("warmed up", provider=name, **structs.asdict(warmed))
