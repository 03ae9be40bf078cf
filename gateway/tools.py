"""What stages are built from: providers, the store, the cache and what is known of targets."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from msgspec import Struct

from gateway.core.audits import Audits
from gateway.core.bulletin import Bulletin
from gateway.core.cache import Cache, open_cache
from gateway.core.capacity import Capacity
from gateway.core.errors import StateUnavailable
from gateway.core.health import Health
from gateway.core.keys import mark_of
from gateway.core.ports import Provider, Runtime, Tools
from gateway.core.secret import Secret
from gateway.core.state import State
from gateway.edge.listening import CannotStart
from gateway.policy.setup import Setup
from gateway.providers.embedder import lend
from gateway.semantic.opening import Semantic, open_semantic
from gateway.state.pepper import pepper_of
from gateway.telemetry.health import HealthNews
from gateway.telemetry.log import Log
from gateway.telemetry.traffic import Traffic, open_traffic


class Opened(Struct, frozen=True):
    """All of it, open, and what else it was opened with."""

    tools: Tools
    cache: Cache
    pepper: Secret
    semantic: Semantic | None
    traffic: Traffic


@asynccontextmanager
async def open_tools(setup: Setup, runtime: Runtime, log: Log, data: Path) -> AsyncIterator[Opened]:
    """Open what the configuration names until the end of the block. Raises CannotStart."""
    async with AsyncExitStack() as stack:
        providers = open_providers(setup, runtime, stack)
        semantic = await _semantic(setup, runtime, log, data, providers=providers, stack=stack)
        state = await stack.enter_async_context(open_state(setup, runtime, data))
        pepper = await asyncio.to_thread(pepper_for, setup, data, runtime.new_secret)
        log.register(pepper)
        audits = await _audits(state, runtime, stack)
        cache = _cache(state, pepper, semantic, audits)
        wall, worker = runtime.clock.wall, runtime.new_secret()[:8]
        traffic = await stack.enter_async_context(open_traffic(data, log.masked, wall, worker))
        rules = {name: setup.providers[name].concurrency for name in providers}
        tools = Tools(
            runtime=runtime,
            providers=providers,
            catalogue=setup.catalogue,
            state=state,
            capacity=Capacity(runtime.clock, runtime.random, rules),
            health=_health(setup, runtime, log, state.bulletin),
            cache=cache,
            traffic=traffic,
        )
        yield Opened(tools, cache, pepper, semantic, traffic)


@asynccontextmanager
async def open_state(setup: Setup, runtime: Runtime, data: Path) -> AsyncIterator[State]:
    """Open the configured store until the end of the block. Raises CannotStart."""
    async with AsyncExitStack() as stack:
        with usable():
            state = await stack.enter_async_context(setup.state.open(runtime, data))
        yield state


@contextmanager
def usable() -> Iterator[None]:
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
    with usable():
        return pepper_of(data, fresh)


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


def _cache(state: State, pepper: Secret, semantic: Semantic | None, audits: Audits) -> Cache:
    """Return where answers are kept and found."""
    embedder, index = (semantic.embedder, semantic.index) if semantic else (None, None)
    return open_cache(state.answers, pepper.reveal().encode(), embedder, index, audits)


async def _audits(state: State, runtime: Runtime, stack: AsyncExitStack) -> Audits:
    """Return what is known of semantic hits; before the store closes it has all of it."""
    audits = Audits(state.audits, state.limiter.now)
    await audits.load()
    stack.push_async_callback(audits.flush)
    stack.callback(runtime.spawn("keep checks", audits.keep_flushed(runtime.clock.sleep)).cancel)
    return audits


def _health(setup: Setup, runtime: Runtime, log: Log, bulletin: Bulletin) -> Health:
    """Return what is known of targets, which follows what other processes find out."""
    health = Health(runtime.random, HealthNews(log), bulletin)
    for name, config in setup.providers.items():
        key = getattr(config, "api_key", None)
        if isinstance(key, Secret) and key.present:
            health.keyed(name, mark_of(key.reveal().encode()))
    bulletin.follow(lambda notices: health.hear(notices, runtime.clock.monotonic()))
    return health
