"""Scripts' words and answers; what they mean together is in the contract tests."""

import pytest

from gateway.core.state import Admitted, Budget, Rate, Refused, Reserve
from gateway.state.redis.link import Rejected
from gateway.state.redis.words import decision
from tests.fakes.stores import statuses

REQUEST = Reserve(
    *("a lease", "acme", 60.0),
    (Rate("r", 10, 10 / 60), Budget("b", 100, 1060.0)),
    [1, 5],
)


def test_an_admission_says_how_limits_stand() -> None:
    answer = decision("ok 1000.5 0 4 0 1 105 45 a lease", REQUEST, "epoch-1")
    assert isinstance(answer, Admitted)
    assert (answer.lease.id, answer.lease.epoch, answer.lease.expires) == (
        *("a lease", "epoch-1", 1090.5),
    )
    assert [each.remaining for each in statuses(answer)] == [6, 0]
    assert list(answer.exceeded) == [1]


def test_a_refusal_says_when_to_come_back() -> None:
    answer = decision("no 1000.5 0 4 0 1 98 0 a lease", REQUEST, "epoch-1")
    assert isinstance(answer, Refused)
    assert (answer.key, answer.retry_after) == ("b", 59.5)


@pytest.mark.parametrize(
    "answer",
    [
        "ok 1000.5 0 4 0 1 60 45 another lease",
        "ok 1000.5 0 4 0",
        "no 1000.5 0 4 0 0 0 0 a lease",
    ],
)
def test_the_answer_to_another_question_is_not_taken(answer: str) -> None:
    with pytest.raises(Rejected):
        decision(answer, REQUEST, "epoch-1")


def test_a_request_without_limits_is_admitted() -> None:
    request = Reserve("a", "acme", 60.0, (), [])
    assert isinstance(decision("ok 1000.5 a", request, ""), Admitted)
