"""`turnout cache eval`: a file of pairs in, what the setting makes of them out."""

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.__main__ import main
from tests.fakes.gateway import write_config

pytest.importorskip("onnxruntime", reason="the extra `semantic` is not installed")
pytest.importorskip("faiss", reason="the extra `semantic` is not installed")

PAIRS = [
    {"a": "How do I learn French?", "b": "How can I learn French?", "y": 1},
    {"a": "how do I learn French", "b": "How do I learn French?", "y": 1},
    {
        "a": "What was the population of Norway in 1994?",
        "b": "What was the population of Norway in 1995?",
        "y": 0,
    },
    {"a": "Who wrote Hamlet?", "b": "What is the capital of Peru?", "y": 0},
]


class Here:
    """A configuration, and the command run on it."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._base = home
        self._capsys = capsys
        self.configure([])

    def configure(self, pipeline: Sequence[Any], kind: str = "minilm") -> None:
        self.home = self._base / f"{kind}{len(pipeline)}"
        self.home.mkdir()
        write_config(self.home, pipeline=pipeline, settings={"embedder": {"kind": kind}})

    def lines(self, pairs: Sequence[Any]) -> Path:
        path = self.home / "pairs.jsonl"
        path.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
        return path

    def run(self, file: Path, *words: str) -> tuple[int, str, str]:
        folders = ("--config", str(self.home / "config"), "--policies", str(self.home / "policies"))
        data = ("--data", str(self.home / "data"))
        code = main(["cache", "eval", str(file), *words, *folders, *data])
        said = self._capsys.readouterr()
        return code, said.out, said.err

    def json(self, file: Path, *words: str) -> Mapping[str, Any]:
        code, out, _ = self.run(file, *words, "--format", "json")
        assert code == 0
        found: Mapping[str, Any] = json.loads(out)
        return found


@pytest.fixture
def here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(tmp_path, capsys)


@pytest.mark.slow
def test_hits_and_wrong_hits_are_told_beside_the_cosine_alone(here: Here) -> None:
    found = here.json(here.lines(PAIRS))
    assert (found["lookups"], found["hits"], found["exact"]) == (4, 2, 1)
    assert (found["wrong_per_lookup"], found["negatives_served"]) == (0, 0)
    assert found["vetoes"] == {"number": {"right": 0, "wrong": 1}}
    assert found["plain"][0]["negatives_served"] == 0.5
    assert found["suggested"]["threshold"] == 0.8


@pytest.mark.slow
def test_people_get_a_table_progress_and_a_threshold(here: Here) -> None:
    code, out, err = here.run(here.lines(PAIRS))
    assert code == 0
    assert "this policy 0.94" in out
    assert "number" in out
    assert "Suggested: threshold 0.8," in out
    assert "8 of 8 texts are embedded" in err


@pytest.mark.slow
def test_gzipped_pairs_are_scored_by_the_policys_own_threshold(here: Here) -> None:
    here.configure([{"stage": "semantic_cache", "semantic": {"threshold": 1}}])
    file = here.home / "pairs.jsonl.gz"
    file.write_bytes(gzip.compress(here.lines(PAIRS).read_bytes()))
    found = here.json(file)
    assert (found["threshold"], found["hits"]) == (1, 1)


def test_a_policy_without_similar_questions_is_said_to_be_measured_by_the_default(
    here: Here,
) -> None:
    _, _, err = here.run(here.home / "none")
    assert "policy 'default' has no `semantic:`" in err


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ('{"a": "x"}\n', "line 1"),
        ('{"a": "x", "b": "y", "y": 1}\nno JSON\n', "line 2"),
        ('{"a": "x", "b": "y", "y": 3}\n', "line 1: `y` must be 1"),
        ("\n", "there is no pair in it, and no recorded request"),
    ],
)
def test_another_file_is_refused_with_its_line(here: Here, lines: str, problem: str) -> None:
    file = here.home / "pairs.jsonl"
    file.write_text(lines)
    code, _, err = here.run(file)
    assert code == 1
    assert problem in err


def test_a_broken_archive_is_refused(here: Here) -> None:
    file = here.home / "pairs.jsonl.gz"
    file.write_bytes(gzip.compress(b'{"a": "x", "b": "y", "y": 1}\n' * 9)[:-12])
    assert here.run(file)[0] == 1


def test_a_file_that_is_not_there_is_told(here: Here) -> None:
    code, _, err = here.run(here.home / "none")
    assert code == 1
    assert "No such file" in err


def test_an_unknown_policy_is_told(here: Here) -> None:
    code, _, err = here.run(here.lines(PAIRS), "--policy", "other")
    assert code == 2
    assert "there is no policy 'other'" in err


def test_without_an_embedder_nothing_can_be_measured(here: Here) -> None:
    here.configure([], "none")
    code, _, err = here.run(here.lines(PAIRS))
    assert code == 2
    assert "no `embedder:`" in err


@pytest.mark.parametrize("share", ["2", "much"])
def test_a_share_is_from_0_to_1(here: Here, share: str) -> None:
    with pytest.raises(SystemExit):
        here.run(here.lines(PAIRS), "--most-wrong", share)
