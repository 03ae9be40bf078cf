"""`record:`: which requests are written down, and what of them."""

import asyncio
import json
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.chat import parse_request
from gateway.core.errors import UpstreamBroken
from gateway.core.exchange import Caller, Exchange
from gateway.core.notes import Notes, Tiered, Verdict
from gateway.core.reply import Block, Reply, Stream, Watched, Whole
from gateway.core.traffic import Seen
from gateway.stages.names import Names
from gateway.stages.record import LARGEST, LARGEST_ANSWER, MEGABYTE, RecordPolicy
from tests.fakes.limited import LimitedHouse
from tests.fakes.relay import ASK, House, nowhere, read


class Written:
    """A traffic log that keeps what it is given."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.large = 0

    def put(self, seen: Seen, /) -> None:
        self.seen.append(seen)

    def too_large(self) -> None:
        self.large += 1


class Recorded:
    """A relay behind a recorder."""

    def __init__(self, **policy: Any) -> None:
        self.house = House()
        self.log = Written()
        self.notes = Notes()
        self.told: Verdict | Tiered = Verdict("semantic_cache", "miss")
        tools = replace(LimitedHouse().tools, runtime=self.house.runtime)
        self._stage = RecordPolicy(**policy).build(tools, self.log)

    async def ask(self, caller: Caller = Caller(), **more: Any) -> Reply:  # noqa: B008 - frozen
        request = parse_request("chat", json.dumps({**ASK, **more}).encode())
        self.notes = Notes()
        self.notes.add(self.told)
        exchange = Exchange("req-1", caller, request, 5_000.0, self.notes)
        return await self._stage(exchange, self._relay)

    async def _relay(self, exchange: Exchange) -> Reply:
        return await self.house.stage(exchange, nowhere)


async def test_a_whole_answer_is_written_with_what_it_used_and_took() -> None:
    here = Recorded()
    reply = await here.ask(Caller(tenant="alice", fingerprint="0a", labels={"team": "ml"}))
    assert isinstance(reply, Whole)
    (seen,) = here.log.seen
    record = seen.record
    assert (record.id, record.tenant, record.key) == ("req-1", "alice", "0a")
    assert (record.status, record.code, record.route) == (200, "", "named")
    assert record.verdicts == (Verdict("semantic_cache", "miss"),)
    assert record.usage == reply.usage
    assert record.micro_dollars is not None
    assert [each.provider for each in record.tried] == ["acme"]
    assert (record.timing.total_ms, record.timing.first_ms) == (2000, None)
    assert seen.request == json.dumps(ASK).encode()
    assert seen.answer == ()


async def test_why_a_tier_was_chosen_is_written_too() -> None:
    here = Recorded()
    here.told = Tiered("fast", "rule", "rule batch", "fast", "acme")
    await here.ask()
    [record] = [seen.record for seen in here.log.seen]
    assert record.route == "rule batch; named"


async def test_answers_are_held_by_leave_alone_and_not_beyond_a_megabyte() -> None:
    here = Recorded(answers=True)
    await here.ask()
    assert here.log.seen[0].answer == (here.house.provider.body,)
    here.house.provider.body = b'{"choices": [], "x": "%b"}' % (b"y" * LARGEST_ANSWER)
    await here.ask()
    assert here.log.seen[1].answer == ()


async def test_a_stream_is_written_at_its_end() -> None:
    here = Recorded(answers=True)
    reply = await here.ask(stream=True)
    assert isinstance(reply, Stream)
    assert here.log.seen == []
    blocks = await read(reply)
    (seen,) = here.log.seen
    assert (seen.stream, b"".join(seen.answer), seen.record.code) == (True, blocks, "")
    assert seen.record.usage is not None
    assert seen.record.timing.first_ms == 2000


async def test_a_stream_too_long_to_be_kept_is_written_without_its_answer() -> None:
    here = Recorded(answers=True)
    here.house.provider.steps = [Block(b"data: {}\n\n" * 60_000)] * 2
    await read(await here.ask(stream=True))  # type: ignore[arg-type]
    assert here.log.seen[0].answer == []


async def test_who_else_looks_at_the_blocks_still_does() -> None:
    here = Recorded(answers=True)
    looked: list[Block] = []
    reply = await here.ask(stream=True)
    assert isinstance(reply, Stream)
    assert isinstance(reply.blocks, Watched)
    reply.blocks.tap(looked.append)
    blocks = await read(reply)
    assert b"".join(looked) == blocks == b"".join(here.log.seen[0].answer)


async def test_a_caller_who_leaves_its_stream_is_told_as_such() -> None:
    here = Recorded(answers=True)
    reply = await here.ask(stream=True)
    assert isinstance(reply, Stream)
    await reply.blocks.aclose()
    (seen,) = here.log.seen
    assert (seen.record.code, seen.answer) == ("client_gone", ())


async def test_a_failure_is_written_with_its_code_and_still_raised() -> None:
    here = Recorded()
    here.house.provider.error = UpstreamBroken("No.", code="bad_upstream")
    with pytest.raises(UpstreamBroken):
        await here.ask()
    record = here.log.seen[0].record
    assert (record.status, record.code) == (502, "bad_upstream")


async def test_a_request_that_is_cut_off_is_written() -> None:
    here = Recorded()
    here.house.provider.error = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        await here.ask()
    assert (here.log.seen[0].record.status, here.log.seen[0].record.code) == (499, "cancelled")


async def test_only_the_tenants_that_are_named_are_written() -> None:
    here = Recorded(tenant=("alice", "team-*"))
    for tenant in ("alice", "bob", "team-7"):
        await here.ask(Caller(tenant=tenant))
    assert [seen.record.tenant for seen in here.log.seen] == ["alice", "team-7"]


async def test_a_share_is_chosen_by_chance() -> None:
    here = Recorded(share=0.25)
    for _ in range(400):
        await here.ask()
    assert 70 <= len(here.log.seen) <= 130


async def test_a_request_that_is_too_large_is_counted_and_not_written() -> None:
    here = Recorded()
    await here.ask(user="x" * LARGEST)
    assert (here.log.seen, here.log.large) == ([], 1)


async def test_retention_goes_with_every_line() -> None:
    here = Recorded(days=3, megabytes=5)
    await here.ask()
    assert (here.log.seen[0].keep.days, here.log.seen[0].keep.size) == (3, 5 * MEGABYTE)


def test_a_check_says_what_it_means_to_record() -> None:
    (problem,) = RecordPolicy().check(Names())
    assert problem.severity == "warning"
    assert problem.what.startswith(
        "requests of every tenant are written to the data directory in full, for 7 days."
    )
    (problem,) = RecordPolicy(answers=True, tenant=("a", "b"), days=1).check(Names())
    assert problem.what.startswith("requests and answers of a, b are written")
