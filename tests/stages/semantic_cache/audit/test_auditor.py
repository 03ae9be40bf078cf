"""Which hits are checked, by whose answer and at whose cost, and what a check changes."""

import asyncio
from collections.abc import Coroutine, Iterator
from itertools import islice, permutations
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.backlog import AT_ONCE, EACH
from gateway.core.charge import charge_of
from gateway.core.errors import UpstreamBroken
from gateway.core.exchange import Exchange
from gateway.core.hit_budget import ENOUGH
from gateway.core.notes import Cached, Notes
from gateway.core.outcome import gather
from tests.fakes.audited import NEAR, AuditedHouse, answer
from tests.fakes.cached import ASK, said
from tests.fakes.clock import settle
from tests.fakes.limited import BOB


def other_orders(number: int) -> Iterator[str]:
    """Yield as many questions of the same words."""
    for words in islice(permutations(NEAR.rstrip("?").split()), number):
        yield " ".join(words)


OTHER = "Lyon is where they all meet, and nothing else."


async def test_a_hit_is_asked_upstream_behind_the_reply_and_counts_as_right() -> None:
    house = AuditedHouse()
    house.voices.says = [answer("Paris."), answer("  paris ")]
    await house.whole()
    house.provider.gate.clear()
    await house.whole(messages=said(NEAR))
    assert house.result == ("hit-semantic", "")
    assert house.cached.risk == "unproven"
    house.provider.gate.set()
    await house.quiet()
    assert house.found == {"asked": 1, "same": 1}
    assert (house.standing.checked, house.standing.wrong) == (1, 0)
    ((group, _),) = house.audits.groups()
    assert (group.hits, group.checked) == (1, 1)


async def test_another_answer_is_a_wrong_hit_and_raises_the_threshold() -> None:
    house = AuditedHouse()
    assert await house.hit("Paris.", OTHER) == "hit-semantic"
    assert house.found == {"asked": 1, "wrong": 1}
    assert house.standing.threshold == 0.95
    assert house.standing.wrong == 1


async def test_the_audits_answer_is_the_one_for_its_question_from_then_on() -> None:
    house = AuditedHouse()
    await house.hit("Paris.", OTHER)
    found = await house.whole(messages=said(NEAR))
    assert house.result == ("hit-exact", "")
    assert found["choices"][0]["message"]["content"] == OTHER
    assert house.calls == 2


async def test_it_goes_the_callers_way_patiently_whole_and_under_a_mark() -> None:
    house = AuditedHouse()
    await house.hit("Paris.", text=NEAR, stream=True)
    (own,) = house.renewals
    assert own.audit is not None
    assert not own.request.stream
    assert (own.caller.tenant, own.caller.priority, own.caller.overflow) == (
        *("alice", "low", "refuse"),
    )
    assert own.headers["x-turnout-cache"] == "refresh"


async def test_only_a_sample_is_checked() -> None:
    house = AuditedHouse(audit_rate=0.3)
    await house.whole()
    for text in other_orders(40):
        await house.whole(messages=said(text))
    await house.quiet()
    ((group, _),) = house.audits.groups()
    assert 0 < house.found["asked"] < group.hits


async def test_what_there_is_no_room_for_is_not_checked_and_is_counted() -> None:
    house = AuditedHouse()
    await house.whole()
    house.provider.gate.clear()
    for text in other_orders(AT_ONCE + EACH + 3):
        await house.whole(messages=said(text))
    await settle()
    assert house.found == {"asked": AT_ONCE, "dropped": 3}
    assert len(house.audits.backlog) == EACH
    house.provider.gate.set()
    await settle(300)
    assert house.found["asked"] == house.found["same"] == AT_ONCE + EACH


async def test_without_a_share_nobody_is_asked_and_hits_are_counted() -> None:
    house = AuditedHouse(audit_rate=0)
    assert await house.hit("Paris.") == "hit-semantic"
    assert (house.found, house.calls) == ({}, 1)
    ((group, _),) = house.audits.groups()
    assert group.hits == 1


async def test_who_wants_a_stored_answer_only_is_never_audited() -> None:
    house = AuditedHouse()
    assert await house.hit("Paris.", headers={"x-turnout-cache": "only"}) == "hit-semantic"
    assert (house.found, house.calls) == ({}, 1)


@pytest.mark.parametrize("header", [{"x-turnout-cache": "bypass"}, {"cache-control": "no-store"}])
async def test_who_opts_out_is_not_in_the_cache_and_not_audited(header: dict[str, str]) -> None:
    house = AuditedHouse()
    assert (await house.hit("Paris.", headers=header)).startswith("bypass")
    assert (house.found, house.calls) == ({}, 2)


@pytest.mark.parametrize(
    "said_instead",
    [answer("Par", finish_reason="length"), answer(None, finish_reason="tool_calls"), b"{}"],
)
async def test_what_nobody_would_be_given_says_nothing(said_instead: bytes) -> None:
    house = AuditedHouse()
    house.voices.says = [answer("Paris."), said_instead]
    await house.whole()
    await house.whole(messages=said(NEAR))
    await house.quiet()
    assert house.found == {"asked": 1, "void": 1}
    assert house.standing.checked == 0


async def test_an_audit_that_fails_is_counted_and_changes_nothing() -> None:
    house = AuditedHouse()
    await house.whole()
    house.provider.fail = [UpstreamBroken("It broke.")]
    (own,) = [house.exchange(ASK, messages=said(NEAR))]
    await house.chain(own)
    await settle(60)
    assert house.found == {"asked": 1, "failed": 1}
    assert house.standing.threshold == 0.94


async def test_one_that_never_gets_there_is_counted_as_refused() -> None:
    house = AuditedHouse()

    async def refused(exchange: Exchange) -> None:
        del exchange

    await house.whole()
    await house.ask(messages=said(NEAR), exchange={"again": refused})
    await house.quiet()
    assert house.found == {"refused": 1}


async def test_answers_that_nobody_can_tell_apart_are_no_check() -> None:
    house = AuditedHouse()
    one, other = "the green tea of spring", "the black tea of autumn"
    assert await house.hit(one, other) == "hit-semantic"
    assert house.found == {"asked": 1, "unclear": 1}
    assert house.standing.checked == 0


async def test_a_broken_embedder_leaves_the_hit_unchecked() -> None:
    house = AuditedHouse()
    house.voices.says = [answer("Paris."), answer(OTHER)]
    await house.whole()
    await house.whole(messages=said(NEAR))
    house.embedder.broken = True
    await house.quiet()
    assert house.found == {"asked": 1, "void": 1}


async def test_a_judge_is_asked_and_paid_for_with_the_audit() -> None:
    house = AuditedHouse(judge="dear")
    outcomes: list[Notes] = []
    house.voices.judge = answer("B")
    seen = house.chain

    async def chain(exchange: Exchange) -> Any:
        try:
            return await seen(exchange)
        finally:
            outcomes.append(exchange.notes)

    house.chain = chain
    await house.hit("Paris.", "It is Paris, of course.")
    assert house.found == {"asked": 1, "wrong": 1}
    audit = gather(outcomes[-1])
    assert audit.cached == Cached("bypass", "audit")
    assert [each.model for each in audit.attempts] == ["fast", "dear"]
    amounts = charge_of(audit).amounts
    assert amounts.micro_dollars == 170 + 1_700
    assert (amounts.input, amounts.output) == (200, 14)


async def test_the_judge_has_the_last_word_over_the_cosine() -> None:
    house = AuditedHouse(judge="dear")
    await house.hit("Paris.", OTHER)
    assert house.found == {"asked": 1, "same": 1}


@pytest.mark.parametrize("word", ["maybe", "", "A and B"])
async def test_a_judge_without_a_clear_word_leaves_it_to_the_cosine(word: str) -> None:
    house = AuditedHouse(judge="dear")
    house.voices.judge = answer(word)
    await house.hit("Paris.", OTHER)
    assert house.found == {"asked": 1, "judge_unclear": 1, "wrong": 1}


async def test_a_judge_that_fails_leaves_it_to_the_cosine() -> None:
    house = AuditedHouse(judge="dear")
    house.voices.says = [answer("Paris."), answer(OTHER)]
    await house.whole()
    await settle()
    await house.whole(messages=said(NEAR))
    house.provider.fail = [None, UpstreamBroken("It broke.")]
    await house.quiet()
    assert house.found == {"asked": 1, "judge_failed": 1, "wrong": 1}


async def test_in_the_shadow_each_would_be_hit_is_compared_without_another_call() -> None:
    house = AuditedHouse(start="shadow", audit_rate=0.0)
    assert await house.hit("Paris.", "paris") == "miss shadow"
    assert (house.found, house.calls) == ({"same": 1}, 2)
    assert (house.standing.state, house.standing.checked) == ("shadow", 1)


async def test_in_the_shadow_a_streams_answer_is_compared_too() -> None:
    house = AuditedHouse(start="shadow")
    house.voices.says = [answer("hello")]
    await house.whole()
    await house.stream(messages=said(NEAR))
    assert house.result == ("miss", "shadow")
    await house.quiet()
    assert house.found == {"same": 1}


async def test_in_the_shadow_a_judge_is_a_request_of_its_own() -> None:
    house = AuditedHouse(start="shadow", judge="dear")
    assert await house.hit("Paris.", "It is Paris.") == "miss shadow"
    assert house.found == {"same": 1}
    assert len(house.renewals) == 1
    assert house.calls == 3


async def test_out_of_the_shadow_it_serves_once_the_budget_is_proven() -> None:
    house = AuditedHouse(start="shadow", max_false_hit_rate=0.5)
    for number in range(4):
        house.use(semantic=house.semantic, epoch=str(number))
        assert await house.hit("Paris.") == "miss shadow"
    house.use(semantic=house.semantic, epoch="last")
    assert await house.hit("Paris.") == "hit-semantic"


async def test_above_a_raised_threshold_alone_is_served() -> None:
    house = AuditedHouse(threshold=0.9)
    text = f"{NEAR} big"
    for _ in range(11):
        house.audits.add(house.group, 1.0, wrong=True)
    await house.audits.flush()
    assert house.standing.state == "exact-only"
    assert await house.hit("Paris.", text=text) == "miss exact_only"
    assert house.found == {"same": 1}


async def test_what_lies_below_a_raised_threshold_is_a_miss_that_says_so() -> None:
    house = AuditedHouse(threshold=0.9)
    for _ in range(3):
        house.audits.add(house.group, 1.0, wrong=True)
    await house.audits.flush()
    assert house.standing.threshold == 0.93
    assert await house.hit("Paris.", text=f"{NEAR} big") == "miss threshold"
    assert (house.found, house.calls) == ({"same": 1}, 2)


async def test_the_risk_is_told_once_there_is_evidence() -> None:
    house = AuditedHouse(audit_rate=0)
    for _ in range(ENOUGH):
        house.audits.add(house.group, 0.97, wrong=False)
    await house.audits.flush()
    await house.hit("Paris.")
    assert house.cached.risk == "<=0.072"


async def test_b02_what_one_tenant_got_wrong_raises_nobody_elses_threshold() -> None:
    house = AuditedHouse()
    await house.hit("Paris.", OTHER)
    assert house.standing.threshold == 0.95
    bobs = house.audits.standing(replace(house.group, tenant="bob"))
    assert (bobs.threshold, bobs.checked) == (0.94, 0)
    await house.whole(caller=BOB)
    await settle()
    await house.whole(messages=said(NEAR), caller=BOB)
    assert house.result == ("hit-semantic", "")
    await house.quiet()


async def test_when_the_process_goes_away_audits_are_cut_and_none_begins() -> None:
    house = AuditedHouse()
    tasks = list[asyncio.Task[None]]()
    house.tools = replace(
        house.tools,
        runtime=replace(house.runtime, spawn=lambda name, work: begun(tasks, name, work)),
    )
    house.use(semantic=house.semantic)
    await house.whole()
    await settle()
    house.provider.gate.clear()
    for text in other_orders(AT_ONCE + 2):
        await house.whole(messages=said(text))
    await settle()
    audits = [task for task in tasks if task.get_name() == "audit a hit"]
    assert len(audits) == AT_ONCE
    for task in audits:
        task.cancel()
    await settle()
    assert house.provider.cancelled == AT_ONCE
    assert len([task for task in tasks if not task.done()]) == 0
    assert house.standing.checked == 0


def begun(
    tasks: "list[asyncio.Task[None]]", name: str, work: Coroutine[Any, Any, None]
) -> "asyncio.Task[None]":
    """Start a task, and remember it."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    tasks.append(task)
    return task
