"""The stream of docs/caching.md, shortened, shows what it promises."""

from pathlib import Path

import pytest

from gateway.core import wire
from gateway.stages.semantic_cache.lookup import SemanticPolicy
from loadtest.cache_stream.intents import read_intents, read_pairs
from loadtest.cache_stream.report import panels, table
from loadtest.failover.plot import svg

pytest.importorskip("onnxruntime", reason="the extra `semantic` is not installed")
pytest.importorskip("faiss", reason="the extra `semantic` is not installed")

from loadtest.cache_stream.stream import run
from loadtest.cache_stream.world import JUDGE


def test_there_are_enough_questions_and_no_two_intents_share_one() -> None:
    intents = read_intents()
    questions = [question for each in intents for question in each.questions]
    answers = [answer for each in intents for answer in each.answers]
    assert len(intents) >= 60
    assert all(len(each.questions) >= 4 and len(each.answers) == 2 for each in intents)
    assert len(set(questions)) == len(questions)
    assert len(set(answers)) == len(answers)


def test_labelled_pairs_are_intents_too(tmp_path: Path) -> None:
    pairs = [("a", "b", 1), ("c", "d", 0), ("a", "e", 1)]
    lines = [wire.encode({"a": a, "b": b, "y": y}) for a, b, y in pairs]
    file = tmp_path / "pairs.jsonl"
    file.write_bytes(b"\n".join(lines))
    assert [list(each.questions) for each in read_pairs(file)] == [["a", "b"], ["c"], ["d"]]


@pytest.mark.slow
async def test_from_a_bad_start_the_threshold_rises_until_hits_are_right(tmp_path: Path) -> None:
    intents, bad = read_intents(), 0.8
    fixed = await run(
        "fixed", intents, SemanticPolicy(threshold=bad, audit_rate=0), 1_500, tmp_path
    )
    audited = SemanticPolicy(threshold=bad, audit_rate=0.2, judge=JUDGE)
    judged = await run("judge", intents, audited, 1_500, tmp_path)
    shadow = SemanticPolicy(threshold=bad, start="shadow", judge=JUDGE)
    shadowed = await run("shadow", intents, shadow, 1_500, tmp_path)
    assert fixed.wrong / fixed.semantic > 0.2
    assert fixed.audits == {}
    hits, wrong = judged.late
    assert hits > 100
    assert wrong / hits < 0.03
    assert judged.standing.threshold > 0.9
    assert judged.audits["wrong"] >= 5
    assert (shadowed.semantic, shadowed.wrong) == (0, 0)
    assert shadowed.audits["wrong"] > 20
    assert sum(judged.results.values()) == 1_500
    rows = table([fixed, judged, shadowed])
    assert "none (shadow)" in rows[-1]
    assert svg(panels([fixed, judged])).count("<g ") == 2
