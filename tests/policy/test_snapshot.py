"""A snapshot names its content and holds chains that are ready to run."""

from random import Random

import pytest
from msgspec.structs import replace

from gateway.core.capability import NOTHING
from gateway.core.capacity import Capacity
from gateway.core.catalogue import Catalogue, Model
from gateway.core.chat import parse_request
from gateway.core.errors import InternalError
from gateway.core.exchange import Caller, Exchange
from gateway.core.health import Health
from gateway.core.limits import LimitRule
from gateway.core.notes import Notes, Verdict
from gateway.core.ports import Call, Tools
from gateway.core.reply import Reply, Whole
from gateway.core.stage import Stage
from gateway.core.traffic import Seen
from gateway.policy.load import Policy, Rules
from gateway.policy.snapshot import Holder, build_snapshot, fingerprint
from gateway.stages.base import StagePolicy
from gateway.stages.rate_limit import RateLimitPolicy
from gateway.stages.record import RecordPolicy
from gateway.stages.relay import Relay, RelayPolicy
from gateway.stages.semantic_cache.policy import SemanticCachePolicy
from gateway.stages.when import When
from gateway.state.memory import memory_state
from tests.fakes.cached import CachedHouse
from tests.fakes.runtime import make_runtime

WHOLE = Whole(b"{}")


class Written:
    def __init__(self, seen: list[Seen]) -> None:
        self.put = seen.append

    def too_large(self) -> None: ...


class Answers:
    stands_in_for = NOTHING

    async def send(self, _call: Call, /) -> Reply:
        return WHOLE

    async def warm(self) -> None: ...

    async def aclose(self) -> None: ...


def tools() -> Tools:
    runtime = make_runtime()
    return Tools(
        runtime=runtime,
        state=memory_state(runtime.clock),
        health=Health(Random(0)),
        capacity=Capacity(runtime.clock, runtime.random),
        providers={"p": Answers()},
        catalogue=Catalogue(models={"m": Model(provider="p", name="m")}),
    )


def exchange() -> Exchange:
    request = parse_request("chat", b'{"model":"m","messages":[{"role":"user","content":"hi"}]}')
    return Exchange(id="req-1", caller=Caller(), request=request, deadline=2_000.0, notes=Notes())


def rules(*policies: Policy, **callers: Caller) -> Rules:
    named = {policy.name: policy for policy in policies}
    return Rules(policies=named, callers=callers or {"local": Caller()})


DIRECT = Policy(name="default", pipeline=(RelayPolicy(),))
BUFFERED = Policy(name="default", pipeline=(RelayPolicy(mode="buffered"),))


async def test_a_chain_answers_through_its_stages() -> None:
    holder = Holder(build_snapshot(rules(DIRECT), tools()))
    assert await holder.current.chains["default"](exchange()) is WHOLE


async def test_a_policy_that_records_does_so_before_its_stages_and_only_where_there_is_a_log() -> (
    None
):
    seen: list[Seen] = []
    recorded = replace(DIRECT, record=RecordPolicy())
    with_log = replace(tools(), traffic=Written(seen))
    for policy, held in ((recorded, with_log), (DIRECT, with_log), (recorded, tools())):
        assert await build_snapshot(rules(policy), held).chains["default"](exchange()) is WHOLE
    assert [each.record.id for each in seen] == ["req-1"]


async def test_a_chain_that_nobody_answers_is_our_fault() -> None:
    snapshot = build_snapshot(rules(Policy(name="default", pipeline=())), tools())
    with pytest.raises(InternalError, match="no stage answered"):
        await snapshot.chains["default"](exchange())


async def test_a_stage_whose_when_does_not_hold_is_skipped_with_a_note() -> None:
    never = RelayPolicy(mode="replay", when=When(tenant="nobody"))
    policy = Policy(name="default", pipeline=(never, RelayPolicy()))
    sent = exchange()
    assert await build_snapshot(rules(policy), tools()).chains["default"](sent) is WHOLE
    assert sent.notes.all(Verdict) == [Verdict("relay", "skipped")]


def test_a_stage_without_when_is_built_as_it_is() -> None:
    built: list[Stage] = []

    def keep(_block: StagePolicy, stage: Stage) -> Stage:
        built.append(stage)
        return stage

    build_snapshot(rules(DIRECT), tools(), keep)
    assert [type(stage) for stage in built] == [Relay]


def test_a_snapshot_knows_the_headers_that_policies_ask_about() -> None:
    asks = RelayPolicy(when=When(header={"x-team": "a", "x-app": "b"}))
    policy = Policy(name="default", pipeline=(asks, RelayPolicy()))
    assert build_snapshot(rules(policy), tools()).headers == ("x-app", "x-team")


def test_the_version_depends_on_content_alone() -> None:
    other = Policy(name="b", pipeline=(RelayPolicy(mode="buffered"),))
    version = fingerprint(rules(DIRECT, other))
    assert version == fingerprint(rules(other, DIRECT))
    assert len(version) == 12
    assert version != fingerprint(rules(DIRECT))
    assert version != fingerprint(rules(DIRECT, Policy(name="b", pipeline=(RelayPolicy(),))))
    allowed = Caller(models=frozenset({"b", "a", "c"}))
    assert version != fingerprint(rules(DIRECT, other, local=allowed))


def test_an_old_snapshot_is_retired_when_its_last_exchange_ends() -> None:
    gone: list[str] = []
    old, new = (build_snapshot(rules(policy), tools()) for policy in (DIRECT, BUFFERED))
    holder = Holder(old, gone.append)
    first, second = holder.take(), holder.take()
    holder.swap(new)
    assert holder.take() is new
    holder.give_back(first)
    assert (gone, dict(holder.in_use)) == ([], {old.version: 1, new.version: 1})
    holder.give_back(second)
    assert (gone, dict(holder.in_use)) == ([old.version], {new.version: 1})


def test_a_snapshot_that_nobody_uses_is_retired_at_once() -> None:
    gone: list[str] = []
    old, new = (build_snapshot(rules(policy), tools()) for policy in (DIRECT, BUFFERED))
    holder = Holder(old, gone.append)
    holder.swap(new)
    assert gone == [old.version]
    holder.swap(build_snapshot(rules(BUFFERED), tools()))
    assert gone == [old.version]


def test_who_follows_a_holder_hears_of_every_swap() -> None:
    old, new = (build_snapshot(rules(policy), tools()) for policy in (DIRECT, BUFFERED))
    holder, heard = Holder(old), []
    holder.follow(lambda: heard.append(holder.current))
    holder.swap(new)
    assert heard == [new]


def test_whether_the_tenants_are_all_is_part_of_a_snapshot_and_of_its_version() -> None:
    plain = rules(DIRECT)
    closed, kind = replace(plain, tenants={}), replace(plain, on_revoke="finish")
    assert not build_snapshot(plain, tools()).closed
    assert build_snapshot(closed, tools()).closed
    assert build_snapshot(kind, tools()).on_revoke == "finish"
    assert len({fingerprint(each) for each in (plain, closed, kind)}) == 3


def answers(*pipeline: StagePolicy) -> tuple[str, str]:
    """What names the answers of a policy: whole ones, and streams."""
    policy = Policy(name="default", pipeline=pipeline)  # type: ignore[arg-type]  # stages of any kind
    found = build_snapshot(rules(policy), replace(tools(), cache=CachedHouse().cache)).answers
    return found["default", False], found["default", True]


def test_answers_are_named_by_the_stages_that_can_change_them() -> None:
    plain, buffered = answers(RelayPolicy()), answers(RelayPolicy(mode="buffered"))
    assert plain[0] == plain[1] != buffered[0] == buffered[1]
    limited = RateLimitPolicy(limits=(LimitRule(requests=1, every="1m"),))
    assert answers(limited, RelayPolicy()) == plain
    assert answers(SemanticCachePolicy(ttl=9), RelayPolicy()) == plain


def test_where_streams_go_another_way_they_have_another_name() -> None:
    streamed = RelayPolicy(mode="replay", when=When(stream=True))
    whole, stream = answers(streamed, RelayPolicy())
    assert whole == answers(RelayPolicy())[0]
    assert stream != whole


def test_headers_that_a_stage_reads_are_named() -> None:
    policy = Policy(name="default", pipeline=(SemanticCachePolicy(), RelayPolicy()))
    found = build_snapshot(rules(policy), replace(tools(), cache=CachedHouse().cache))
    assert found.headers == ("cache-control", "x-turnout-cache")
