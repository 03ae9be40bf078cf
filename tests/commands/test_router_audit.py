"""`turnout router audit`: a file of outcomes in, which tiers earn their price out."""

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.commands.router_audit import add_audit

ROWS = [
    {"source": "gsm", "tiers": {"mini": 1, "haiku": number % 2, "sonnet": 1}}
    for number in range(200)
] + [
    {"source": "crux", "tiers": {"mini": number % 2, "haiku": 0, "sonnet": 1}}
    for number in range(120)
]


class Here:
    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.file = folder / "rows.jsonl"
        self._capsys = capsys

    def write(self, rows: list[dict[str, Any]]) -> None:
        self.file.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def audit(self, *words: str) -> tuple[int, str, str]:
        parser = argparse.ArgumentParser()
        add_audit(parser.add_subparsers())
        given = parser.parse_args(["audit", str(self.file), *words])
        code = given.run(given)
        return (code, *self._capsys.readouterr())


@pytest.fixture
def here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Here:
    found = Here(tmp_path, capsys)
    found.write(ROWS)
    return found


def test_a_dominated_middle_tier_is_named(here: Here) -> None:
    code, out, _ = here.audit()
    assert code == 0
    assert out.startswith("Tiers, cheapest first: mini, haiku, sonnet\n")
    assert "haiku is dominated by mini: dearer and not better." in out
    assert "by 2,000 resamples of the pairs, seed" in out
    lines = [line.split("  ") for line in out.splitlines()]
    assert [(line[0].strip(), line[-1].strip()) for line in lines if "points" in "".join(line)] == [
        ("all", "dominated"),
        ("all", "better"),
        ("all", "better"),
        ("gsm", "dominated"),
        ("gsm", "better"),
        ("gsm", "dominated"),
        ("crux", "dominated"),
        ("crux", "better"),
        ("crux", "better"),
    ]


def test_as_json_it_tells_intervals_pairs_and_how_they_were_made(here: Here) -> None:
    code, out, _ = here.audit("--format", "json")
    told = json.loads(out)
    assert code == 0
    assert told["tiers"] == ["mini", "haiku", "sonnet"]
    assert told["dominated"] == ["haiku"]
    assert told["by_source"]["gsm"]["dominated"] == ["haiku", "sonnet"]
    assert told["bootstrap"]["draws"] == 2000
    first = told["comparisons"][0]
    assert (first["cheaper"], first["dearer"], first["pairs"]) == ("mini", "haiku", 320)
    assert first["verdict"] == "dominated"
    assert first["difference"]["low"] < first["difference"]["mean"] < first["difference"]["high"]
    assert first["difference"]["mean"] == pytest.approx(-0.5)


def test_pairs_and_gzip_are_read_too_and_few_pairs_prove_nothing(here: Here) -> None:
    pairs = [{"pair": "mixtral|gpt-4", "weak": 0, "strong": 1}] * 20
    here.file.write_bytes(gzip.compress("\n".join(map(json.dumps, pairs)).encode()))
    code, out, _ = here.audit()
    assert code == 0
    assert "gpt-4 is not proven to be better than mixtral." in out
    assert "+100.0 points" in out


def test_the_order_of_the_tiers_can_be_given(here: Here) -> None:
    code, out, _ = here.audit("--tiers", "mini,sonnet")
    assert code == 0
    assert "haiku" not in out
    _, out, _ = here.audit("--tiers", "sonnet,mini")
    assert "mini is dominated by sonnet" in out


def test_tiers_that_were_never_asked_the_same_are_unproven(here: Here) -> None:
    here.write([{"tiers": {"a": 1}}, {"tiers": {"b": 1}}])
    code, out, _ = here.audit()
    assert code == 0
    assert "b is not proven to be better than a." in out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--tiers", "mini,opus"), "no row has a tier 'opus'"),
        (("--tiers", "mini"), "two tiers with outcomes are needed"),
        (("--tiers", "mini,mini"), "two tiers with outcomes are needed"),
    ],
)
def test_tiers_that_cannot_be_compared_are_refused(
    here: Here, words: tuple[str, ...], says: str
) -> None:
    code, out, err = here.audit(*words)
    assert (code, out) == (1, "")
    assert says in err


def test_files_that_hold_something_else_are_refused(here: Here) -> None:
    here.file.write_text("{}\nnot JSON\n")
    code, _, err = here.audit()
    assert code == 1
    assert "line 2: JSON of another shape" in err
    here.file.write_text("{}\n")
    assert "two tiers with outcomes are needed" in here.audit()[2]
    here.file.unlink()
    assert "No such file" in here.audit()[2]
