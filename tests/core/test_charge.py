"""What a request is charged for: the provider's word, what passed, what was reserved, nothing."""

import asyncio
import json

import pytest
from msgspec.structs import replace

from gateway.core.catalogue import Model, Price
from gateway.core.charge import (
    Charge,
    charge_of,
    may_have_used,
    passed_in,
    seen_passing,
    shares_of,
    work_of,
)
from gateway.core.chat import parse_request
from gateway.core.errors import (
    BadRequest,
    UpstreamBroken,
    UpstreamBusy,
    UpstreamDenied,
    UpstreamTimeout,
)
from gateway.core.notes import (
    Amounts,
    Attempted,
    Demand,
    Estimated,
    Limited,
    Passed,
    Used,
    Wasted,
    Work,
)
from gateway.core.outcome import Facts
from gateway.core.reply import Usage
from gateway.core.state import Standing

SAID = Used("m", Usage(10, 5), 70)
SEEN = Passed("m", Usage(10, 9), 90)
LOST = Wasted("q", "n", 10, 30)
UNPRICED = Wasted("q", "n", 10, None)
MODEL = Model(provider="p")
RESERVED = Demand(12, 100, 900)
NO_LIMITS = Standing((), (), 0.0, ())
HELD = Limited(NO_LIMITS, reserved=RESERVED)
TOKENS = Limited(NO_LIMITS, reserved=Demand(12, 100, None))
SUPPOSED = Amounts(12, 100, 900)
GUESS = Estimated(SUPPOSED)


def attempt(work: Work) -> Attempted:
    return Attempted("p", "m", 0.0, 1.0, "code", 500, work)


@pytest.mark.parametrize(
    ("facts", "charge"),
    [
        (Facts(), Charge("nothing")),
        (Facts(used=SAID, limited=(HELD,)), Charge("provider", Amounts(10, 5, 70))),
        (Facts(used=SAID, passed=SEEN), Charge("relayed", Amounts(10, 9, 90))),
        (
            Facts(
                used=SAID,
                wasted=(
                    LOST,
                    LOST,
                ),
            ),
            Charge("provider", Amounts(30, 5, 130)),
        ),
        (Facts(passed=SEEN, wasted=(UNPRICED,)), Charge("relayed", Amounts(20, 9, None))),
        (Facts(attempts=(attempt("unknown"),), limited=(HELD,)), Charge("reserved", SUPPOSED)),
        (
            Facts(
                attempts=(attempt("unknown"),),
                limited=(
                    Limited(NO_LIMITS),
                    TOKENS,
                    HELD,
                ),
            ),
            Charge("reserved", SUPPOSED),
        ),
        (
            Facts(attempts=(attempt("unknown"),), limited=(Limited(NO_LIMITS),), estimated=GUESS),
            Charge("estimated", SUPPOSED),
        ),
        (Facts(attempts=(attempt("refused"),), estimated=GUESS), Charge("nothing")),
        (Facts(used=SAID, estimated=GUESS), Charge("provider", Amounts(10, 5, 70))),
        (Facts(attempts=(attempt("unknown"),)), Charge("nothing")),
        (Facts(attempts=(attempt("refused"),), limited=(HELD,)), Charge("nothing")),
        (Facts(attempts=(attempt("none"),), limited=(HELD,)), Charge("nothing")),
    ],
)
def test_the_best_that_is_known_is_charged(facts: Facts, charge: Charge) -> None:
    assert charge_of(facts) == charge


@pytest.mark.parametrize(
    ("error", "work"),
    [
        (UpstreamBusy("x", status=429), "refused"),
        (UpstreamBroken("x", code="upstream_refused_connection"), "none"),
        (UpstreamTimeout("x", code="upstream_connect_timeout"), "none"),
        (UpstreamTimeout("x", code="upstream_first_byte_timeout"), "unknown"),
        (UpstreamBroken("x", code="upstream_reset"), "unknown"),
        (BadRequest("x"), "none"),
        (asyncio.CancelledError(), "unknown"),
        (KeyError("a bug"), "unknown"),
    ],
)
def test_an_error_tells_what_a_provider_may_have_done(error: BaseException, work: Work) -> None:
    assert work_of(error) == work


def test_a_provider_that_answered_with_an_error_did_no_work() -> None:
    error = UpstreamDenied("x")
    error.provider_status = 401
    assert work_of(error) == "refused"


def test_of_what_was_said_and_what_was_seen_the_larger_counts() -> None:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * 40}]}).encode()
    request = parse_request("chat", body)
    assert seen_passing(request, MODEL, None, 7) == Usage(14, 7)
    assert seen_passing(request, MODEL, Usage(20, 1), 7) == Usage(20, 7)
    assert seen_passing(request, MODEL, Usage(20, 9), 7) == Usage(20, 9)
    short = parse_request("chat", body[:-1] + b',"max_tokens":5}')
    assert seen_passing(short, MODEL, None, 7) == Usage(14, 5)
    assert seen_passing(short, MODEL, Usage(20, 6), 7) == Usage(20, 6)
    vectors = parse_request("embeddings", b'{"model":"m","input":"xxxx"}')
    assert seen_passing(vectors, MODEL, None, 7) == Usage(1, 0)


def test_a_whole_answer_is_a_token_for_four_bytes_beyond_its_frame() -> None:
    assert passed_in(b"x" * 500) == 100
    assert passed_in(b"{}") == 1


def test_what_nobody_saw_is_estimated_as_a_limit_would_have_reserved_it() -> None:
    priced = Model(provider="p", price=Price(input=1, output=10, cache_write=2))
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * 40}]}).encode()
    request = parse_request("chat", body)
    assert may_have_used(request, priced, 1024) == Amounts(14, 1024, 2 * 14 + 10 * 1024)
    short = parse_request("chat", body[:-1] + b',"max_tokens":5}')
    assert may_have_used(short, MODEL, 1024) == Amounts(14, 5, None)
    assert may_have_used(parse_request("count_tokens", body), priced, 1024) == Amounts()


def done(provider: str) -> Attempted:
    return Attempted(provider, "m", 0.0, 1.0)


def test_each_attempt_has_its_share_and_together_they_are_what_is_charged() -> None:
    lost = replace(LOST, provider="p", model="m")
    facts = Facts(
        attempts=(
            attempt("unknown"),
            done("p"),
        ),
        used=SAID,
        wasted=(lost,),
    )
    assert [(s.usage.input, s.micro_dollars) for s in shares_of(facts)] == [(10, 30), (10, 70)]
    assert charge_of(facts) == Charge("provider", Amounts(20, 5, 100))
    raced = Facts(
        attempts=(
            done("a"),
            attempt("unknown"),
        ),
        used=SAID,
        wasted=(lost,),
    )
    assert [share.micro_dollars for share in shares_of(raced)] == [70, 30]


def test_of_attempts_that_all_broke_the_last_is_charged_as_reserved() -> None:
    lost = replace(LOST, provider="p", model="m")
    both = (attempt("unknown"), attempt("unknown"))
    facts = Facts(attempts=both, wasted=(lost,), limited=(HELD,))
    assert [share.micro_dollars for share in shares_of(facts)] == [30, 900]
    assert charge_of(facts) == Charge("reserved", Amounts(22, 100, 930))
    unlimited = Facts(attempts=both, wasted=(lost,))
    assert [share.micro_dollars for share in shares_of(unlimited)] == [30, 0]
    assert charge_of(unlimited) == Charge("relayed", Amounts(10, 0, 30))
