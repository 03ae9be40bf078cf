"""Policies as they run: chains folded once, behind one reference that a reload swaps."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256

import msgspec
from msgspec import Struct

from gateway.core import wire
from gateway.core.errors import InternalError
from gateway.core.exchange import Caller, Exchange
from gateway.core.ports import Tools
from gateway.core.reply import Reply
from gateway.core.stage import Next, Stage, compose
from gateway.core.text_file import plain
from gateway.policy.load import Policy, Rules
from gateway.policy.tenants import OnRevoke
from gateway.stages.base import StagePolicy
from gateway.stages.rate_limit import RateLimitPolicy
from gateway.stages.when import Conditional, predicate

Wrap = Callable[[StagePolicy, Stage], Stage]


class Snapshot(Struct, frozen=True, kw_only=True):
    """All policies and tenants at one moment. `version` is equal exactly when their content is."""

    version: str
    chains: Mapping[str, Next]
    answers: Mapping[tuple[str, bool], str] = {}
    """What changes whenever a policy may answer differently, for whole answers and for streams."""
    callers: Mapping[str, Caller]
    """Every tenant that may call, as its requests carry it."""
    closed: bool = True
    """Whether nobody else may call. False without tenants.yaml: an issued key may name others."""
    on_revoke: OnRevoke = "cut"
    headers: tuple[str, ...] = ()
    """The request headers that some policy or stage asks about."""
    embeds: bool = False
    """Whether some stage needs the embedder."""
    limits: Mapping[str, Sequence[RateLimitPolicy]] = {}
    """The stages of each policy that count."""


class Holder:
    """Where the current snapshot is found, and which older ones still have exchanges.

    A request takes the snapshot once, keeps what it got, and gives it back at its end.
    """

    __slots__ = ("_followers", "_retired", "current", "in_use")

    def __init__(self, current: Snapshot, retired: Callable[[str], None] | None = None) -> None:
        """`retired` is called with a version that is not current when its last exchange ended."""
        self.current = current
        self.in_use: Counter[str] = Counter()
        self._retired = retired
        self._followers: list[Callable[[], None]] = []

    def follow(self, callback: Callable[[], None]) -> None:
        """Call back after every swap."""
        self._followers.append(callback)

    def take(self) -> Snapshot:
        """Return the current snapshot, to be given back."""
        current = self.current
        self.in_use[current.version] += 1
        return current

    def give_back(self, snapshot: Snapshot) -> None:
        """End one use of a snapshot."""
        self.in_use[snapshot.version] -= 1
        if snapshot is not self.current:
            self._retire(snapshot.version)

    def swap(self, snapshot: Snapshot) -> None:
        """Let every request from now on have `snapshot`; those under way keep what they have."""
        before, self.current = self.current, snapshot
        self._retire(before.version)
        for callback in self._followers:
            callback()

    def _retire(self, version: str) -> None:
        if version != self.current.version and not self.in_use[version]:
            del self.in_use[version]
            if self._retired is not None:
                self._retired(version)


def build_snapshot(rules: Rules, tools: Tools, wrap: Wrap | None = None) -> Snapshot:
    """Return policies ready to serve. `wrap` may put something around each stage."""
    blocks = [block for policy in rules.policies.values() for block in policy.pipeline]
    return Snapshot(
        version=fingerprint(rules),
        chains={
            name: compose([*_recorder(policy, tools), *_stages(policy, tools, wrap)], _nobody)
            for name, policy in rules.policies.items()
        },
        callers=rules.callers,
        closed=rules.tenants is not None,
        on_revoke=rules.on_revoke,
        answers={
            (name, stream): _digest(_shaping(policy, stream=stream))
            for name, policy in rules.policies.items()
            for stream in (False, True)
        },
        headers=tuple(sorted({name for block in blocks for name in _headers(block)})),
        embeds=any(block.embeds for block in blocks),
        limits={
            name: [block for block in policy.pipeline if isinstance(block, RateLimitPolicy)]
            for name, policy in rules.policies.items()
        },
    )


def _headers(block: StagePolicy) -> Iterator[str]:
    yield from block.reads
    for _, when in block.conditions:
        yield from when.header


def _shaping(policy: Policy, *, stream: bool) -> list[StagePolicy]:
    """Return the stages by which the policy's answers may differ from another's."""
    blocks = [block for block in policy.pipeline if block.shapes_answers]
    return [block for block in blocks if block.when is None or block.when.stream in {None, stream}]


def fingerprint(rules: Rules) -> str:
    """Return 12 hex digits that name this content, whatever the order or layout of its files."""
    content: Mapping[str, object] = {
        "policies": rules.policies,
        "callers": rules.callers,
        "closed": rules.tenants is not None,
        "on_revoke": rules.on_revoke,
    }
    return _digest(content)


def _digest(content: object) -> str:
    built = msgspec.to_builtins(content, order="sorted", enc_hook=plain)
    return sha256(wire.encode(built)).hexdigest()[:12]


def _recorder(policy: Policy, tools: Tools) -> Iterator[Stage]:
    """Yield what writes the policy's requests down, before all stages."""
    if policy.record is not None and tools.traffic is not None:
        yield policy.record.build(tools, tools.traffic)


def _stages(policy: Policy, tools: Tools, wrap: Wrap | None) -> Iterator[Stage]:
    for block in policy.pipeline:
        yield _stage(block, tools, wrap)


def _stage(block: StagePolicy, tools: Tools, wrap: Wrap | None) -> Stage:
    stage = block.build(tools)
    if wrap is not None:
        stage = wrap(block, stage)
    if block.when is None:
        return stage
    return Conditional(block.name, stage, predicate(block.when, tools.catalogue))


async def _nobody(exchange: Exchange) -> Reply:
    raise InternalError(
        "The gateway failed.", detail=f"policy {exchange.policy}: no stage answered"
    )
