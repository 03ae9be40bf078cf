"""New policies come into use whole, or not at all."""

import asyncio
from pathlib import Path
from random import Random

import pytest

from gateway.core.capacity import Capacity
from gateway.core.health import Health
from gateway.core.ports import Tools
from gateway.core.stage import Stage
from gateway.documents import Invalid
from gateway.policy.load import Rules
from gateway.policy.reload import Reloaded, Reloader, steady
from gateway.policy.setup import Setup, load_setup
from gateway.policy.snapshot import Holder, build_snapshot
from gateway.stages.relay import RelayPolicy
from gateway.state.memory import memory_state
from tests.fakes.gateway import write_config
from tests.fakes.runtime import make_runtime


class Bench:
    """A reloader on a folder of its own."""

    def __init__(self, home: Path, setup: Setup) -> None:
        self.policies = home / "policies"
        runtime = make_runtime()
        tools = Tools(
            runtime=runtime,
            providers={},
            catalogue=setup.catalogue,
            state=memory_state(runtime.clock),
            health=Health(Random(0)),
            capacity=Capacity(runtime.clock, runtime.random),
        )
        self.holder = Holder(build_snapshot(setup.rules, tools))
        self.told: list[Reloaded] = []
        self.reloader = Reloader(setup, self.holder, tools, self.told.append)

    async def write(self, name: str, text: str) -> Reloaded:
        await asyncio.to_thread((self.policies / name).write_text, text)
        return await self.reloader.reload()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    write_config(tmp_path, settings={"keys": {"alice": "env:ALICE"}})
    environment = {"ALICE": "a"}
    return Bench(tmp_path, load_setup(tmp_path / "config", tmp_path / "policies", environment))


async def test_what_changed_is_swapped_in(bench: Bench) -> None:
    before = bench.holder.current
    done = await bench.write("default.yaml", "pipeline: [{stage: relay, mode: buffered}]\n")
    assert (done.ok, done.changed) == (True, True)
    assert bench.holder.current is not before
    assert done.version == bench.holder.current.version != before.version
    assert bench.told == [done]


async def test_what_means_the_same_changes_nothing_and_is_not_told(bench: Bench) -> None:
    before = bench.holder.current
    done = await bench.write("default.yaml", "# a remark\npipeline: []\n")
    assert (done.ok, done.changed) == (True, False)
    assert bench.holder.current is before
    assert bench.told == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pipeline: [", "this is not YAML"),
        ("pipelin: []", "Did you mean `pipeline`?"),
        ("pipeline: []\npipeline: []", "is here twice"),
        ("pipeline: [{stage: relay, when: {stream: no}}]", "is read in different ways"),
        ("pipeline: [{stage: relay, when: {tokens: {above: 0777}}}]", "read in different ways"),
        ("description: 12:30:00", "is read in different ways"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]", "anchors and aliases"),
        ("pipeline: [{stage: relay, when: {model: gpt}}]", "there is no such model"),
    ],
)
async def test_h01_a_bad_file_keeps_the_last_good_one(bench: Bench, text: str, said: str) -> None:
    before = bench.holder.current
    done = await bench.write("default.yaml", text)
    assert (done.ok, done.changed, done.version) == (False, False, before.version)
    assert bench.holder.current is before
    assert said in str(done.problems[0])
    assert "default.yaml:" in str(done.problems[0])
    assert bench.reloader.report()["ok"] is False
    mended = await bench.write("default.yaml", "pipeline: [] # mended\n")
    assert (mended.ok, mended.changed) == (True, False)
    assert bench.told == [done, mended]


async def test_a_stage_that_cannot_be_built_keeps_the_last_good_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(_policy: RelayPolicy, _tools: Tools) -> Stage:
        raise OSError("no such corpus")

    monkeypatch.setattr(RelayPolicy, "build", build)
    before = bench.holder.current
    done = await bench.write("default.yaml", "pipeline: [{stage: relay, mode: replay}]\n")
    assert "cannot be put to use: OSError: no such corpus." in str(done.problems[0])
    assert bench.holder.current is before


async def test_h03_a_tenant_can_be_taken_out_while_policies_speak_of_it(bench: Bench) -> None:
    await bench.write("default.yaml", "pipeline: [{stage: relay, when: {tenant: alice}}]\n")
    done = await bench.write("tenants.yaml", "tenants: {bob: {}}\n")
    assert (done.ok, done.changed) == (True, True)
    assert "alice" not in bench.holder.current.callers
    assert len(done.warnings) == 2


async def test_losing_the_tenants_file_does_not_let_everyone_in_again(bench: Bench) -> None:
    await bench.write("tenants.yaml", "tenants: {bob: {}}\n")
    await asyncio.to_thread((bench.policies / "tenants.yaml").unlink)
    done = await bench.reloader.reload()
    assert not done.ok
    assert "tenants.yaml: is gone" in str(done.problems[0])
    assert list(bench.holder.current.callers) == ["bob"]


async def test_the_report_says_which_versions_are_still_in_use(bench: Bench) -> None:
    old = bench.holder.take()
    await bench.write("default.yaml", "pipeline: [{stage: relay, mode: replay}]\n")
    new = bench.holder.take()
    assert bench.reloader.report()["in_use"] == {old.version: 1, new.version: 1}
    bench.holder.give_back(old)
    assert bench.reloader.report()["in_use"] == {new.version: 1}


async def test_reloads_wait_for_each_other(bench: Bench) -> None:
    await asyncio.to_thread(
        (bench.policies / "default.yaml").write_text, "pipeline: [{stage: relay, mode: replay}]"
    )
    done = await asyncio.gather(*(bench.reloader.reload() for _ in range(5)))
    assert [each.changed for each in done] == [True, False, False, False, False]


RULES = Rules(policies={}, callers={})


def test_h06_files_that_change_while_they_are_read_are_read_again(tmp_path: Path) -> None:
    reads: list[int] = []

    def read() -> Rules:
        reads.append(1)
        if len(reads) == 1:
            (tmp_path / "a.yaml").write_text("half")
            raise Invalid([])
        return RULES

    assert steady(tmp_path, read) is RULES
    assert len(reads) == 2


def test_h06_files_that_never_rest_are_not_taken(tmp_path: Path) -> None:
    reads: list[int] = []

    def read() -> Rules:
        reads.append(1)
        (tmp_path / "a.yaml").write_text("x" * len(reads))
        return RULES

    with pytest.raises(Invalid, match="change while they are read"):
        steady(tmp_path, read)
