"""What nobody waits for is limited, charged and logged as any other request."""

import asyncio

from msgspec.structs import replace

from gateway.core.chat import parse_request
from gateway.core.errors import UpstreamBroken
from gateway.core.exchange import Caller, Exchange
from gateway.core.notes import Notes, Verdict
from gateway.core.outcome import Outcome
from gateway.core.reply import Reply
from gateway.core.stage import Next
from gateway.edge.again import Again
from tests.fakes.clock import settle
from tests.fakes.service import WHOLE, FakeBlocks, FakeChain, make_service, make_stream

BODY = b'{"model":"small","messages":[{"role":"user","content":"hi"}]}'


def exchange(**changes: object) -> Exchange:
    plain = Exchange(
        id="req-9",
        caller=Caller(tenant="acme"),
        request=parse_request("chat", BODY),
        deadline=0.0,
        notes=Notes(),
        headers={"x-turnout-cache": "refresh"},
        address="127.0.0.9",
    )
    return replace(plain, **changes)


async def ask(reply: Reply | BaseException | Next, **changes: object) -> tuple[Exchange, Outcome]:
    chain, outcomes = FakeChain(reply), list[Outcome]()
    service = make_service(chain, outcomes)
    first = exchange(**changes)
    first.notes.add(Verdict("rate_limit", "admitted"))
    await Again(service)(first)
    assert not +service.holder.in_use
    (sent,), (outcome,) = chain.exchanges, outcomes
    return sent, outcome


async def test_it_goes_through_the_policy_under_a_name_of_its_own() -> None:
    sent, outcome = await ask(WHOLE)
    assert sent.id == outcome.id != "req-9"
    assert sent.headers == {"x-turnout-cache": "refresh"}
    assert sent.deadline > 1_000
    assert outcome.facts.verdicts == ()
    assert (outcome.status, outcome.endpoint) == (200, "/v1/chat/completions")
    assert (outcome.caller.tenant, outcome.address) == ("acme", "127.0.0.9")
    assert outcome.facts.provider == "acme"


async def test_a_failure_is_reported_and_not_raised() -> None:
    _, outcome = await ask(UpstreamBroken("It broke."))
    assert (outcome.status, outcome.code, outcome.fault) == (502, "upstream_broken", "upstream")


async def test_one_that_the_end_of_the_process_cuts_is_reported_too() -> None:
    chain, outcomes = FakeChain(make_stream([asyncio.Event()])), list[Outcome]()
    task = asyncio.create_task(Again(make_service(chain, outcomes))(exchange()))
    await settle()
    task.cancel()
    await settle()
    assert [(each.status, each.code) for each in outcomes] == [(503, "draining")]


async def test_a_stream_is_read_to_its_end() -> None:
    stream = make_stream([b"data: 1\n\n", b"data: [DONE]\n\n"])
    await ask(stream)
    assert stream.tally.clean
    assert isinstance(stream.blocks, FakeBlocks)
    assert stream.blocks.closed.is_set()


async def test_where_the_policy_is_gone_nothing_is_asked() -> None:
    chain, outcomes = FakeChain(WHOLE), list[Outcome]()
    await Again(make_service(chain, outcomes))(exchange(policy="gone"))
    assert (chain.exchanges, outcomes) == ([], [])


async def test_what_an_audit_is_says_its_id() -> None:
    async def audit(exchange: Exchange, proceed: Next) -> Reply:
        return await proceed(exchange)

    sent, outcome = await ask(WHOLE, audit=audit)
    assert sent.id == outcome.id
    assert outcome.id.startswith("audit-")


async def test_once_the_server_is_going_away_nothing_is_asked() -> None:
    chain, outcomes = FakeChain(WHOLE), list[Outcome]()
    service = make_service(chain, outcomes)
    service.readiness.draining = True
    await Again(service)(exchange())
    assert (chain.exchanges, outcomes) == ([], [])


async def test_what_still_runs_when_the_door_closes_is_reported_by_then() -> None:
    asked = asyncio.Event()

    async def never(_: Exchange) -> Reply:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    outcomes = list[Outcome]()
    again = Again(make_service(FakeChain(never), outcomes))
    task = asyncio.ensure_future(again(exchange()))
    await asked.wait()
    assert not outcomes
    await again.close()
    assert [outcome.code for outcome in outcomes] == ["draining"]
    assert task.cancelled()
    await again(exchange())
    assert len(outcomes) == 1
