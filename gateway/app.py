"""The composition root: the one file that puts concrete things together."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from msgspec import Struct, structs

from gateway.core.cache import Cache, open_cache
from gateway.core.capacity import Capacity
from gateway.core.errors import StateUnavailable
from gateway.core.health import Health
from gateway.core.ports import Provider, Runtime, Tools
from gateway.core.secret import Secret
from gateway.core.state import IssuedKey, State
from gateway.edge.admin import Admin, open_admin
from gateway.edge.admin_routes import admin_routes
from gateway.edge.cache_desk import CacheDesk
from gateway.edge.identity import Identity
from gateway.edge.key_desk import KeyDesk
from gateway.edge.listening import CannotStart, listening
from gateway.edge.process import Process
from gateway.edge.readiness import Readiness
from gateway.edge.server import Edge, open_edge
from gateway.edge.service import Service
from gateway.edge.warming import Warming
from gateway.policy.issue import Issuer
from gateway.policy.reload import Reloaded, Reloader
from gateway.policy.setup import Setup
from gateway.policy.snapshot import Holder, build_snapshot
from gateway.policy.watch import watch
from gateway.providers.embedder import lend
from gateway.providers.rotation import Rotation
from gateway.providers.transport.client import PoolStats, Transport
from gateway.runtime import open_runtime
from gateway.semantic.opening import Semantic, open_semantic
from gateway.settings import Address, parse_address
from gateway.state.pepper import pepper_of
from gateway.telemetry.cache_metrics import CacheSize
from gateway.telemetry.health import HealthMetrics, HealthNews
from gateway.telemetry.log import Log
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.report import Report


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
        providers = open_providers(setup, runtime, stack)
        semantic = await _semantic(setup, runtime, log, data, providers=providers, stack=stack)
        state = await stack.enter_async_context(open_state(setup, runtime, data))
        pepper = await asyncio.to_thread(pepper_for, setup, data, runtime.new_secret)
        log.register(pepper)
        cache = _cache(state, pepper, semantic)
        tools = _tools(setup, runtime, log, state=state, providers=providers, cache=cache)
        readiness = Readiness(store=tools.state.problem)
        holder, reloader = _policies(setup, tools, readiness, log)
        metrics = _metrics(tools, reloader, lambda: edge.in_flight)
        service = Service(
            runtime=runtime,
            limits=setup.settings.limits,
            keys=await _identity(setup, tools.state, pepper, readiness, log),
            holder=holder,
            catalogue=setup.catalogue,
            report=_report(metrics, log, tools, stack),
            readiness=readiness,
        )
        edge = await stack.enter_async_context(_door(setup, service, shared=shared))
        desk = _keys_desk(tools, pepper, holder, log)
        cached = CacheDesk(cache, state.limiter.now, log.info)
        process = Process(readiness, metrics, reloader, desk=desk, cache_desk=cached, tools=tools)
        operator = await stack.enter_async_context(_desk(setup, process, admin))
        warming = Warming(readiness, runtime.clock, log)
        warming.start(setup.providers, tools.providers, runtime.spawn)
        if semantic is not None:
            warming.add("embedder", semantic.warm, semantic.timeout, runtime.spawn)
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


@asynccontextmanager
async def open_state(setup: Setup, runtime: Runtime, data: Path) -> AsyncIterator[State]:
    """Open the configured store until the end of the block. Raises CannotStart."""
    async with AsyncExitStack() as stack:
        with _usable():
            state = await stack.enter_async_context(setup.state.open(runtime, data))
        yield state


@contextmanager
def _usable() -> Iterator[None]:
    """Turn data that cannot be used into CannotStart, in words that help."""
    try:
        yield
    except StateUnavailable as error:
        raise CannotStart(f"{error.detail}. Mend it, or choose --data.") from error


def pepper_for(setup: Setup, data: Path, fresh: Callable[[], str]) -> Secret:
    """Return what issued keys are kept with, `fresh()` when it is not there yet.

    Raises CannotStart when it can neither be read nor be made.
    """
    if setup.settings.pepper is not None:
        return setup.settings.pepper
    if not setup.state.shared:
        return Secret(fresh(), "this process")  # whose keys end with it
    with _usable():
        return pepper_of(data, fresh)


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

    with _usable():
        know(await state.keys.all())  # before anybody calls: no key at all would let everybody in
    state.keys.follow(know)
    return identity


def _keys_desk(tools: Tools, pepper: Secret, holder: Holder, log: Log) -> KeyDesk:
    issuer = Issuer(
        tools.state,
        pepper,
        new_secret=tools.runtime.new_secret,
        tenants=lambda: holder.current.callers if holder.current.closed else None,
    )
    return KeyDesk(issuer, holder, log.info)


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


def follow(setup: Setup, tools: Tools, process: Process, log: Log) -> None:
    """Keep up with files: policies, providers' keys; say when those of config/ have changed."""
    runtime, folders = tools.runtime, setup.folders

    def rotated(provider: str, key: Secret) -> None:
        log.register(key)
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


def open_providers(setup: Setup, runtime: Runtime, stack: AsyncExitStack) -> Mapping[str, Provider]:
    """Return the providers that can be used; they are closed with the stack."""
    usable = {name: each for name, each in setup.providers.items() if not each.unusable()}
    providers = {name: config.build(name, runtime) for name, config in usable.items()}
    for provider in providers.values():
        stack.push_async_callback(provider.aclose)
    return providers


async def _semantic(
    setup: Setup,
    runtime: Runtime,
    log: Log,
    data: Path,
    *,
    providers: Mapping[str, Provider],
    stack: AsyncExitStack,
) -> Semantic | None:
    """Return what finds near texts, also lent to the providers that embed for callers."""
    opening = open_semantic(setup.embedder, runtime, data, providers, log.warning)
    semantic = await stack.enter_async_context(opening)
    lend(semantic.embedder if semantic else None, providers)
    return semantic


def _cache(state: State, pepper: Secret, semantic: Semantic | None) -> Cache:
    """Return where answers are kept and found."""
    embedder, index = (semantic.embedder, semantic.index) if semantic else (None, None)
    return open_cache(state.answers, pepper.reveal().encode(), embedder, index)


def _tools(
    setup: Setup,
    runtime: Runtime,
    log: Log,
    *,
    state: State,
    providers: Mapping[str, Provider],
    cache: Cache,
) -> Tools:
    """Return what stages are built from."""
    rules = {name: setup.providers[name].concurrency for name in providers}
    return Tools(
        runtime=runtime,
        providers=providers,
        catalogue=setup.catalogue,
        state=state,
        capacity=Capacity(runtime.clock, runtime.random, rules),
        health=Health(runtime.random, HealthNews(log)),
        cache=cache,
    )


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
        targets=tools.capacity.targets,
        others=[
            HealthMetrics(tools.health, tools.runtime.clock),
            *([CacheSize(tools.cache)] if tools.cache is not None else ()),
        ],
    )


def _pools(providers: Mapping[str, Provider]) -> Mapping[str, PoolStats]:
    transports = {name: getattr(each, "transport", None) for name, each in providers.items()}
    return {
        name: transport.stats
        for name, transport in transports.items()
        if isinstance(transport, Transport)
    }
