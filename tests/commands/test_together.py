"""Workers that say the same are heard once, and those that differ are told apart."""

from typing import Any

from gateway.commands.together import reloaded, troubles

FINE: dict[str, Any] = {
    "ok": True,
    "version": "a",
    "changed": True,
    "problems": [],
    "warnings": ["x"],
}


def test_what_all_say_is_said_once() -> None:
    assert reloaded([FINE, FINE]) == FINE


def test_one_that_differs_makes_it_wrong_and_without_a_common_version() -> None:
    bad = {**FINE, "ok": False, "version": "b", "changed": False, "problems": ["p"]}
    assert reloaded([FINE, bad]) == {**FINE, "ok": False, "version": None, "problems": ["p"]}


def test_nobody_who_answers_is_not_well() -> None:
    assert reloaded([])["ok"] is False


def test_troubles_are_kept_apart_by_their_parts() -> None:
    away, foreign = {"problems": {"state": "away"}}, {"problems": {"state": "away", "keys": "2"}}
    assert troubles([away, foreign, {}]) == {"state": "away", "keys": "2"}
    late = {"problems": {"state": "late"}}
    assert troubles([away, late]) == {"state": "away\nlate"}
