"""The composition root: with `tools.py`, where concrete things are put together."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from msgspec import Struct, structs

from gateway.core.keys import mark_of
from gateway.core.ports import Provider, Runtime, Tools
from gateway.core.secret import Secret
from gateway.core.state import IssuedKey, State
from gateway.edge.admin import Admin, open_admin
from gateway.edge.admin_routes import admin_routes
from gateway.edge.cache_desk import CacheDesk
from gateway.edge.identity import Identity
from gateway.edge.key_desk import KeyDesk
from gateway.edge.listening import listening
from gateway.edge.process import Process
from gateway.edge.readiness import Readiness
from gateway.edge.server import Edge, open_edge
from gateway.edge.service import Service
from gateway.edge.warming import Warming
from gateway.policy.issue import Issuer
from gateway.policy.reload import Reloaded, Reloader
from gateway.policy.setup import Setup
from gateway.policy.snapshot import Holder, build_snapshot
from gateway.policy.standings import Standings
from gateway.policy.watch import watch
from gateway.providers.rotation import Rotation
from gateway.providers.transport.client import PoolStats, Transport
from gateway.runtime import open_runtime
from gateway.semantic.opening import Semantic
from gateway.settings import Address, parse_address
from gateway.telemetry.audit_metrics import AuditMetrics
from gateway.telemetry.cache_metrics import CacheSize
from gateway.telemetry.health_metrics import HealthMetrics
from gateway.telemetry.log import Log
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.report import Report
from gateway.tools import Opened, open_tools, usable


class Gateway(Struct, frozen=True):
    """A running gateway."""

    edge: Edge
    readiness: Readiness
    process: Process
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
        opened = await stack.enter_async_context(open_tools(setup, runtime, log, data))
        tools, pepper, semantic = opened.tools, opened.pepper, opened.semantic
        readiness = Readiness(store=tools.state.problem)
        holder, reloader = _policies(setup, tools, readiness, log)
        metrics = _metrics(opened, reloader, lambda: edge.in_flight)
        service = Service(
            runtime=runtime,
            limits=setup.settings.limits,
            keys=await _identity(setup, tools.state, pepper, readiness, log),
            holder=holder,
            catalogue=setup.catalogue,
            report=_report(metrics, log, tools, stack),
            readiness=readiness,
            known=opened.cache.known,
        )
        edge = await stack.enter_async_context(_door(setup, service, shared=shared))
        desk = _keys_desk(tools, pepper, holder, log)
        cached = CacheDesk(opened.cache, tools.state.limiter.now, log.info)
        process = Process(readiness, metrics, reloader, desk=desk, cache_desk=cached, tools=tools)
        operator = await stack.enter_async_context(_desk(setup, process, admin))
        warming = Warming(readiness, runtime.clock, log)
        warming.start(setup.providers, tools.providers, runtime.spawn)
        if semantic is not None:
            _preload(semantic, holder, warming, readiness, runtime)
        follow(setup, tools, process, log)
        yield Gateway(edge, readiness, process, port=edge.port, admin_port=operator.port)


def _report(metrics: Metrics, log: Log, tools: Tools, stack: AsyncExitStack) -> Report:
    """Return what requests are told to at their end; before the store closes it has all of it."""
    report = Report(metrics, log, tools)
    stack.callback(report.hand_over)
    return report


def secrets_of(setup: Setup) -> Iterator[Secret]:
    """Yield every secret that the configuration points to and that is there."""
    settings = setup.settings
    held: list[object] = [*settings.keys.values(), settings.admin_token, settings.pepper]
    for config in (*setup.providers.values(), setup.state):
        held += structs.asdict(config).values()
    yield from (value for value in held if isinstance(value, Secret) and value.present)


async def _identity(
    setup: Setup, state: State, pepper: Secret, readiness: Readiness, log: Log
) -> Identity:
    """Return who may call, as the store knows it now and as it changes. Raises CannotStart."""
    identity = Identity(
        setup.settings.keys,
        pepper.reveal().encode(),
        epoch=state.limiter.now,
        required=setup.settings.require_key,
    )

    def know(table: Sequence[IssuedKey]) -> None:
        identity.know(table)
        before = readiness.problems.pop("keys", "")
        if foreign := identity.foreign():
            what = f"{foreign} keys were made with another pepper and are wrong here"
            problem = f"{what}: give every node the same `pepper`, and restart"
            readiness.problems["keys"] = problem
            if problem != before:
                log.warning("keys", problem=problem)

    with usable():
        know(await state.keys.all())  # before anybody calls: no key at all would let everybody in
    state.keys.follow(know)
    return identity


def _keys_desk(tools: Tools, pepper: Secret, holder: Holder, log: Log) -> KeyDesk:
    issuer = Issuer(
        tools.state,
        pepper,
        new_secret=tools.runtime.new_secret,
        tenants=lambda: holder.current.callers if holder.current.closed else None,
        audit=log.info,
    )
    return KeyDesk(issuer, holder, Standings(holder, tools.state.limiter, tools.runtime.new_id))


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


def _preload(
    semantic: Semantic, holder: Holder, warming: Warming, readiness: Readiness, runtime: Runtime
) -> None:
    """Load the embedder as soon as some policy needs it."""

    def look(*, serving: bool) -> None:
        if holder.current.embeds and "embedder" not in readiness.warmups:
            wait = semantic.timeout
            warming.add("embedder", semantic.warm, wait, runtime.spawn, serving=serving)

    look(serving=False)
    holder.follow(lambda: look(serving=True))


def follow(setup: Setup, tools: Tools, process: Process, log: Log) -> None:
    """Keep up with files: policies, providers' keys; say when those of config/ have changed."""
    runtime, folders = tools.runtime, setup.folders

    def rotated(provider: str, key: Secret) -> None:
        log.register(key)
        tools.health.keyed(provider, mark_of(key.reveal().encode()))
        log.info("a provider's key was rotated", provider=provider, source=key.source)

    async def reload() -> None:
        await process.reload()

    async def restart_needed() -> None:
        log.warning("config has changed: restart to use it", folder=str(folders.config.path))

    for name, folder, changed in (
        ("policies", folders.policies, reload),
        ("config", folders.config, restart_needed),
    ):
        runtime.spawn(f"watch {name}", watch(folder, runtime.clock, changed))
    rotation = Rotation(setup.providers, tools.providers, rotated)
    runtime.spawn("watch providers' keys", rotation.keep(runtime.clock))


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


def _metrics(opened: Opened, reloader: Reloader, in_flight: Callable[[], int]) -> Metrics:
    tools = opened.tools
    return Metrics(
        in_flight=in_flight,
        pools=lambda: _pools(tools.providers),
        config=lambda: (reloader.last.version, reloader.last.ok),
        state=lambda: not tools.state.problem(),
        targets=tools.capacity.targets,
        others=[
            HealthMetrics(tools.health, tools.runtime.clock),
            *_cached(tools),
            opened.traffic,
        ],
    )


def _cached(tools: Tools) -> Iterator[CacheSize | AuditMetrics]:
    if tools.cache is not None:
        yield CacheSize(tools.cache)
        if tools.cache.audits is not None:
            yield AuditMetrics(tools.cache.audits)


def _pools(providers: Mapping[str, Provider]) -> Mapping[str, PoolStats]:
    transports = {name: getattr(each, "transport", None) for name, each in providers.items()}
    return {
        name: transport.stats
        for name, transport in transports.items()
        if isinstance(transport, Transport)
    }
