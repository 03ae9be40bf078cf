"""Commands on a store say the same things in the same way, and end with codes that scripts read."""

import argparse

import pytest

from gateway.commands.on_store import REFUSED, UNUSABLE, complain, finish, reached, task_failed
from gateway.core.errors import StateUnavailable
from gateway.edge.listening import CannotStart


def fails_with(error: Exception) -> int:
    raise error


def test_what_works_is_returned_as_it_is() -> None:
    assert reached("keys", lambda: 7, "Try again.") == 7


def test_a_store_that_is_away_is_told_with_its_cure(capsys: pytest.CaptureFixture[str]) -> None:
    away = StateUnavailable("Sorry.", detail="redis: no route")
    assert reached("keys", lambda: fails_with(away), "Nothing was changed.") == REFUSED
    told = capsys.readouterr()
    what = "turnout keys: the store cannot be reached: redis: no route. Nothing was changed.\n"
    assert (told.out, told.err) == ("", what)


def test_a_folder_that_cannot_be_used_has_a_code_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert reached("cache", lambda: fails_with(CannotStart("No.")), "Try again.") == UNUSABLE
    assert capsys.readouterr().err == "turnout cache: No.\n"


def test_complaints_and_failed_tasks_stay_out_of_what_is_piped(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert complain("cache", "no.") == REFUSED
    task_failed("follow keys", ValueError("with a secret"))
    told = capsys.readouterr()
    assert (told.out, told.err) == (
        "",
        "turnout cache: no.\nwarning: follow keys failed: ValueError\n",
    )


def test_every_verb_has_the_options_of_a_store() -> None:
    parser = argparse.ArgumentParser()

    async def work() -> int:
        return 0

    finish(parser, lambda _: 0, work)
    given = parser.parse_args(["--data", "d", "--config", "c", "--format", "json"])
    assert (str(given.data), str(given.config), given.format) == ("d", "c", "json")
    assert given.work is work
