"""The `tests:` of the policies, run one by one; every expectation that is not met is a problem."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from gateway.core import wire
from gateway.core.cache import open_cache
from gateway.core.capacity import Capacity
from gateway.core.chat import Endpoint
from gateway.core.exchange import Caller, Exchange
from gateway.core.health import Health
from gateway.core.notes import Verdict
from gateway.core.outcome import Facts, Outcome
from gateway.core.patterns import matcher
from gateway.core.ports import Runtime, Tools
from gateway.core.reply import Reply
from gateway.core.secret import Secret
from gateway.core.stage import Next, Stage
from gateway.documents import Diagnostic, KeyPath, suggest
from gateway.edge.identity import Identity
from gateway.edge.readiness import Readiness
from gateway.edge.routes import path_of
from gateway.edge.server import Edge
from gateway.edge.service import Service
from gateway.policy.cases import Expect, ProviderHealth
from gateway.policy.load import Trial
from gateway.policy.setup import Setup
from gateway.policy.snapshot import Holder, build_snapshot
from gateway.providers.simulated.laws import Errors, Fixed
from gateway.providers.simulated.provider import SimulatedConfig
from gateway.runtime import open_runtime
from gateway.stages.base import StagePolicy
from gateway.stages.when import SKIPPED
from gateway.state.memory import memory_state
from gateway.trial.clock import TrialClock
from gateway.trial.door import Answer, ask

RAN: Final = "ran"
NOT_REACHED: Final = "not reached"
SOMEBODY: Final = "somebody"
_KEY: Final = "trial"
_ALWAYS: Final = {"rate": 1.0, "burst_rate": 1.0, "calm": 0.0, "stall": 0.0, "reset": 0.0}
_HEALTH: Final[Mapping[ProviderHealth, SimulatedConfig]] = {
    "up": SimulatedConfig(),
    "down": SimulatedConfig(outage="always"),
    "busy": SimulatedConfig(errors=Errors(**_ALWAYS, busy=1.0, broken=0.0)),
    "broken": SimulatedConfig(errors=Errors(**_ALWAYS, busy=0.0, broken=1.0)),
    "slow": SimulatedConfig(latency=Fixed(first_token=60.0)),
}
_HELLO: Final = ({"role": "user", "content": "Hello!"},)
_BODIES: Final[Mapping[Endpoint, Mapping[str, Any]]] = {
    "chat": {"messages": _HELLO},
    "messages": {"messages": _HELLO, "max_tokens": 16},
    "count_tokens": {"messages": _HELLO},
    "completions": {"prompt": "Hello!"},
    "embeddings": {"input": "Hello!"},
}


class Result(Struct, frozen=True):
    """What became of a test's request."""

    answer: Answer
    facts: Facts
    failures: Sequence[str]
    """Background tasks that failed."""

    def verdict(self, stage: str) -> str:
        """Return what a stage did: its own word, `ran`, `skipped` or `not reached`."""
        said = [note.verdict for note in self.facts.verdicts if note.stage == stage]
        active = [verdict for verdict in said if verdict != SKIPPED]
        return active[-1] if active else SKIPPED if said else NOT_REACHED


async def run_trials(setup: Setup) -> list[Diagnostic]:
    """Run every test of every policy and return what was not as expected."""
    problems = []
    for trial in setup.rules.trials:
        wrong = list(_misnamed(trial, setup))
        if not wrong:
            wrong = list(_differences(trial.case.expect, await _result(trial, setup)))
        for path, what in wrong:
            at = ("tests", trial.index, *path)
            problems.append(trial.document.report(at, f"{what} [{trial.case.name}]"))
    return problems


def _misnamed(trial: Trial, setup: Setup) -> Iterator[tuple[KeyPath, str]]:
    given, rules = trial.case.given, setup.rules
    caller = rules.callers.get(given.tenant)
    if given.tenant and caller is None:
        yield (
            ("given", "tenant"),
            f"there is no such tenant.{suggest(given.tenant, rules.callers)}",
        )
    elif caller is not None and caller.policy != trial.policy:
        yield ("given", "tenant"), f"`{given.tenant}` uses the policy `{caller.policy}`."
    if _moment(given.time) is None:
        yield ("given", "time"), "there is no such moment."
    for name in given.providers:
        if name not in setup.providers:
            what = f"there is no such provider.{suggest(name, setup.providers)}"
            yield ("given", "providers", name), what
    stages = {block.name for block in rules.policies[trial.policy].pipeline}
    for name in trial.case.expect.stages:
        if name not in stages:
            what = f"this policy has no such stage.{suggest(name, stages)}"
            yield ("expect", "stages", name), what


async def _result(trial: Trial, setup: Setup) -> Result:
    given = trial.case.given
    clock = TrialClock(_moment(given.time) or 0.0)
    outcomes: list[Outcome] = []
    failures: list[str] = []

    def failed(task: str, error: BaseException) -> None:
        failures.append(f"the task `{task}` failed: {type(error).__name__}.")

    async with open_runtime(failed) as real:
        edge = _door(trial, setup, replace(real, clock=clock), outcomes.append)
        body = wire.encode({**_BODIES[given.endpoint], **given.request})
        headers = {"content-type": "application/json", **given.headers, "x-api-key": _KEY}
        answer = await ask(edge, clock, path_of(given.endpoint), headers, body)
    return Result(answer, outcomes[0].facts, failures)


def _door(trial: Trial, setup: Setup, runtime: Runtime, report: Callable[[Outcome], None]) -> Edge:
    """Return a door in front of the policies, where the test's tenant holds the only key."""
    given = trial.case.given
    tenant = given.tenant or SOMEBODY
    somebody = Caller(tenant=SOMEBODY, policy=trial.policy)
    rules = replace(setup.rules, callers={SOMEBODY: somebody, **setup.rules.callers})
    catalogue = replace(setup.catalogue, unserved={})
    providers = {
        name: _HEALTH[given.providers.get(name, "up")].build(name, runtime)
        for name in setup.providers
    }
    state = memory_state(runtime.clock)
    tools = Tools(
        runtime=runtime,
        providers=providers,
        catalogue=catalogue,
        state=state,
        cache=open_cache(state.answers, _KEY.encode()),
        health=Health(runtime.random),
        capacity=Capacity(runtime.clock, runtime.random),
    )
    return Edge(
        Service(
            runtime=runtime,
            limits=setup.settings.limits,
            keys=Identity({tenant: Secret(_KEY, "the trial")}),
            holder=Holder(build_snapshot(rules, tools, _Noted)),
            catalogue=catalogue,
            report=report,
            readiness=Readiness(),
        )
    )


class _Noted:
    """A stage that leaves a note when it runs."""

    def __init__(self, block: StagePolicy, stage: Stage) -> None:
        self._ran = Verdict(block.name, RAN)
        self._stage = stage

    async def __call__(self, exchange: Exchange, proceed: Next, /) -> Reply:
        exchange.notes.add(self._ran)
        return await self._stage(exchange, proceed)


def _differences(expect: Expect, result: Result) -> Iterator[tuple[KeyPath, str]]:
    answer = result.answer
    yield from ((("expect",), failure) for failure in result.failures)
    if expect.status is not None and answer.status != expect.status:
        why = f" {answer.code}" if answer.code else ""
        yield ("expect", "status"), f"expected {expect.status}, got {answer.status}{why}."
    if expect.code is not None and answer.code != expect.code:
        yield ("expect", "code"), _unequal(expect.code, answer.code)
    model = result.facts.model
    if expect.model is not None and model != expect.model:
        yield ("expect", "model"), _unequal(expect.model, model)
    tiered = result.facts.tiered
    tier = tiered.tier if tiered is not None else None
    if expect.tier is not None and tier != expect.tier:
        yield ("expect", "tier"), _unequal(expect.tier, tier)
    for stage, wanted in expect.stages.items():
        got = result.verdict(stage)
        ran = wanted == RAN and got not in {SKIPPED, NOT_REACHED}
        if got != wanted and not ran:
            yield ("expect", "stages", stage), _unequal(wanted, got)
    for name, pattern in expect.headers.items():
        value = answer.headers.get(name.lower())
        fits = value is None if pattern is None else value is not None and matcher([pattern])(value)
        if not fits:
            yield ("expect", "headers", name), _unequal(pattern, value)


def _moment(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def _unequal(expected: str | None, got: str | None) -> str:
    return f"expected {_shown(expected)}, got {_shown(got)}."


def _shown(value: str | None) -> str:
    return f"`{value}`" if value else "nothing"
