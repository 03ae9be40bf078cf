"""Poisoned requests and broken targets, told apart."""

from gateway.core.errors import UpstreamBroken
from gateway.core.suspects import Suspects, fingerprint

ERROR = UpstreamBroken("broke")


def accused(suspects: Suspects, *targets: str, now: float = 100.0) -> list[bool]:
    found = []
    for target in targets:
        suspects.strike(b"x", target, now)
        found.append(suspects.accuse(b"x", ERROR, 2, now))
    return found


def test_three_failures_on_two_targets_that_answer_others_are_poison() -> None:
    suspects = Suspects()
    assert accused(suspects, "a", "b", "a") == [False, False, True]
    assert suspects.held(b"x", 130) is ERROR
    assert ERROR.retry_after == 30
    assert suspects.held(b"y", 130) is None
    assert suspects.held(b"x", 160) is None
    assert len(suspects.known) == 0


def test_failures_on_one_of_several_targets_are_the_targets() -> None:
    assert accused(Suspects(), "a", "a", "a", "a") == [False] * 4


def test_a_failure_tells_of_the_target_once_in_ten_seconds() -> None:
    suspects = Suspects()
    assert suspects.strike(b"x", "a", 100)
    assert not suspects.strike(b"x", "a", 105)
    assert suspects.strike(b"x", "b", 105)
    assert suspects.strike(b"x", "a", 115.1)


def test_one_that_was_answered_elsewhere_is_innocent() -> None:
    suspects = Suspects()
    accused(suspects, "a", "a")
    suspects.clear(b"x")
    suspects.clear(b"never seen")
    assert suspects.strike(b"x", "a", 101)
    assert not suspects.accuse(b"x", ERROR, 2, 101)
    assert not suspects.accuse(b"never seen", ERROR, 2, 101)


def test_a_thousand_are_remembered() -> None:
    suspects = Suspects()
    for number in range(1_500):
        suspects.strike(b"%d" % number, "a", 100)
    assert len(suspects.known) == 1_000


def test_requests_are_told_apart_by_tenant_and_content() -> None:
    assert fingerprint("a", b"x") == fingerprint("a", b"x")
    assert len({fingerprint("a", b"x"), fingerprint("b", b"x"), fingerprint("a", b"y")}) == 3
    long = b"a" * 100_000
    assert fingerprint("a", long) != fingerprint("a", long + b"a")
    assert fingerprint("a", long[:-1] + b"b") != fingerprint("a", long)
