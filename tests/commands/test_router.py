"""`turnout router`: rows in, an artefact or figures out."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.__main__ import main
from gateway.core import wire
from gateway.stages.complexity_router.artefact import read_artefact
from tests.stages.complexity_router.rows import made


class Here:
    """A folder, and the command run in it."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.home = home
        self.out = home / "router.json"

    def rows(self, count: int, seed: int = 1) -> Path:
        path = self.home / f"rows{count}.{seed}.jsonl"
        path.write_bytes(b"".join(wire.encode(row) + b"\n" for row in made(count, seed)))
        return path

    def run(self, *words: str | Path) -> tuple[int, str, str]:
        code = main(["router", *map(str, words)])
        said = self._capsys.readouterr()
        return code, said.out, said.err

    def json(self, *words: str | Path) -> Any:
        code, out, _ = self.run("eval", *words, "--format", "json")
        assert code == 0
        return json.loads(out)


@pytest.fixture
def here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(tmp_path, capsys)


def test_what_is_trained_routes_rows_that_it_has_not_seen(here: Here) -> None:
    code, out, err = here.run("train", here.rows(200), "--out", here.out)
    assert (code, out) == (0, "")
    assert "small|large: learned from 200 rows" in err
    assert "1 pairs, 200 rows" in err
    assert read_artefact(here.out).sources == {"own": 200}
    found = here.json(here.rows(400, seed=2), "--artefact", here.out)
    assert found["apgr"]["overall"] == found["apgr"]["by_source"]["own"] > 0.7
    assert set(found["share_error_points"]["by_source"]) == {"own"}


def test_training_again_writes_the_same_bytes(here: Here) -> None:
    here.run("train", here.rows(60), "--out", here.out)
    first = here.out.read_bytes()
    here.run("train", here.rows(60), "--out", here.out)
    assert here.out.read_bytes() == first
    assert list(here.home.glob(".*")) == []


def test_people_get_a_table_and_progress(here: Here) -> None:
    code, out, err = here.run("eval", here.rows(120), "--draws", "2")
    assert code == 0
    assert "TURNOUT" in out
    assert "KEYWORD RULES" in out
    assert "draw 2 of 2 is measured" in err


def test_rows_that_an_artefact_was_trained_on_are_warned_of(here: Here) -> None:
    here.run("train", here.rows(60), "--out", here.out)
    _, _, err = here.run("eval", here.rows(60), "--artefact", here.out)
    assert "warning: this artefact was trained on these very rows" in err
    _, _, err = here.run("eval", here.rows(60, seed=2), "--artefact", here.out)
    assert "warning" not in err


def test_a_corrupt_artefact_is_an_error_with_file_and_cause(here: Here) -> None:
    here.out.write_text("{")
    code, out, err = here.run("eval", here.rows(60), "--artefact", here.out)
    assert (code, out) == (1, "")
    assert f"turnout router: {here.out}: it is no artefact" in err


def test_bad_lines_and_files_that_are_not_there_are_named(here: Here) -> None:
    bad = here.home / "bad.jsonl"
    bad.write_text("{}\n")
    code, _, err = here.run("train", bad, "--out", here.out)
    assert (code, f"{bad}: line 1: JSON of another shape" in err) == (1, True)
    code, _, err = here.run("eval", here.home / "nowhere.jsonl")
    assert (code, "nowhere.jsonl" in err) == (1, True)
    assert not here.out.exists()


def test_too_few_rows_leave_no_file(here: Here) -> None:
    code, _, err = here.run("train", here.rows(20), "--out", here.out)
    assert (code, "no pair of models has 50 labelled rows" in err) == (1, True)
    assert not here.out.exists()


@pytest.mark.parametrize("draws", ["0", "-1", "many"])
def test_draws_are_a_number_from_1_on(here: Here, draws: str) -> None:
    with pytest.raises(SystemExit):
        here.run("eval", here.rows(60), "--draws", draws)


def test_help_names_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["router", "--help"])
    assert "audit" in capsys.readouterr().out


def test_without_a_verb_it_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["router"])
    assert left.value.code == 2
    assert "VERB" in capsys.readouterr().err
