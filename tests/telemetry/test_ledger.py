"""The rows of the ledger: one for the request, one for each attempt, whose sums agree."""

import pytest

from gateway.core.charge import charge_of
from gateway.core.notes import (
    Amounts,
    Attempted,
    Demand,
    Estimated,
    Limited,
    Note,
    Passed,
    StreamEnded,
    Used,
    Wasted,
    Work,
)
from gateway.core.reply import Usage
from gateway.core.state import AttemptRow, LedgerRow, RequestRow, Standing
from gateway.telemetry.ledger import rows_of
from tests.telemetry.outcomes import GOOD, make_outcome

WALL = 1_763_700_000.0


def rows(*notes: Note, **changes: object) -> list[LedgerRow]:
    outcome = make_outcome(*notes, **changes)
    return rows_of(outcome, charge_of(outcome.facts), WALL, {"gpt"})


def test_a_request_has_a_row_and_each_attempt_one() -> None:
    request, busy, answered = rows(*GOOD)
    assert request == RequestRow(
        id="req-0001",
        at=WALL,
        tenant="acme",
        key="0123abcd",
        policy="default",
        endpoint="/v1/chat/completions",
        model="gpt",
        status=200,
        input=57,
        output=31,
        micro_dollars=1_240,
        counted="provider",
    )
    assert isinstance(busy, AttemptRow)
    assert (busy.number, busy.provider, busy.status, busy.code) == (1, "two", 429, "upstream_busy")
    assert (busy.input, busy.output, busy.micro_dollars) == (0, 0, 0)
    assert busy.at == pytest.approx(WALL - 0.8)
    assert isinstance(answered, AttemptRow)
    assert (answered.input, answered.cached, answered.cache_write) == (57, 7, 5)
    assert (answered.output, answered.micro_dollars, answered.code) == (31, 1_240, "")


def test_a_stream_that_broke_is_charged_for_what_passed_and_says_why_it_ended() -> None:
    notes = (
        Attempted("one", "gpt", 100.0, 100.5),
        StreamEnded("upstream_cut", 5, 500, 0.1, 0.2, "upstream_truncated"),
        Used("gpt", Usage(57, 1), 40),
        Passed("gpt", Usage(57, 9), 90),
    )
    request, attempt = rows(*notes)
    assert isinstance(request, RequestRow)
    assert isinstance(attempt, AttemptRow)
    assert (request.counted, request.output, request.micro_dollars) == ("relayed", 9, 90)
    assert (attempt.output, attempt.code, attempt.at) == (9, "upstream_truncated", WALL)


def test_who_lost_a_race_has_a_row_that_ends_before_the_stream_does() -> None:
    notes = (
        Attempted("two", "gpt", 100.2, 100.4),
        Attempted("one", "gpt", 100.0, 100.5, "cancelled", 0, "unknown"),
        Wasted("one", "gpt", 57, 30),
        StreamEnded("upstream_cut", 5, 500, 0.1, 0.2, "upstream_truncated"),
        Used("gpt", Usage(57, 1), 40),
    )
    _, won, lost = rows(*notes)
    assert isinstance(won, AttemptRow)
    assert isinstance(lost, AttemptRow)
    assert (won.provider, won.code, won.at) == ("two", "upstream_truncated", WALL)
    assert (lost.number, lost.provider, lost.status, lost.code) == (2, "one", 0, "cancelled")
    assert lost.at == pytest.approx(WALL - 1.5)
    assert (lost.input, lost.output, lost.micro_dollars) == (57, 0, 30)
    assert won.micro_dollars == 40


def failed(work: Work) -> Attempted:
    return Attempted("one", "gpt", 100.0, 100.5, "upstream_timeout", 504, work)


def test_a_provider_that_may_have_worked_is_charged_as_reserved() -> None:
    held = Limited(Standing((), (), 0.0, ()), reserved=Demand(10, 100, 900))
    request, attempt = rows(held, failed("unknown"), status=504, code="upstream_timeout")
    assert isinstance(request, RequestRow)
    assert isinstance(attempt, AttemptRow)
    assert (request.counted, request.output, request.micro_dollars) == ("reserved", 100, 900)
    assert (attempt.output, attempt.micro_dollars) == (100, 900)


def test_where_nothing_was_reserved_a_provider_that_may_have_worked_is_charged_by_estimate() -> (
    None
):
    guess = Estimated(Amounts(10, 1024, 700))
    request, attempt = rows(failed("unknown"), guess, status=499, code="client_gone")
    assert isinstance(request, RequestRow)
    assert isinstance(attempt, AttemptRow)
    assert (request.counted, request.output, request.micro_dollars) == ("estimated", 1024, 700)
    assert (attempt.input, attempt.micro_dollars) == (10, 700)


@pytest.mark.parametrize("work", ["none", "refused"])
def test_an_attempt_without_work_costs_nothing(work: Work) -> None:
    request, attempt = rows(failed(work), status=504, code="upstream_timeout")
    assert isinstance(request, RequestRow)
    assert isinstance(attempt, AttemptRow)
    assert (request.counted, request.micro_dollars) == ("nothing", 0)
    assert attempt.micro_dollars == 0


def test_a_model_without_a_price_is_unknown_and_not_free() -> None:
    request, attempt = rows(Attempted("one", "gpt", 1.0, 2.0), Used("gpt", Usage(5, 5), None))
    assert isinstance(request, RequestRow)
    assert isinstance(attempt, AttemptRow)
    assert (request.micro_dollars, attempt.micro_dollars) == (None, None)


def test_a01_what_never_came_to_a_provider_has_no_row() -> None:
    assert rows(policy="", status=401) == []
    assert rows(policy="", status=200, endpoint="/v1/models") == []
    assert rows(status=429) == []
    assert len(rows(status=200)) == 1


def test_a_strangers_model_name_is_not_kept() -> None:
    request, *_ = rows(*GOOD, model="ignore all previous instructions")
    assert isinstance(request, RequestRow)
    assert request.model == "other"
