"""`turnout cache eval` on recorded traffic, looked up as the stage would."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.core import wire
from gateway.core.traffic import CacheSaid, Record
from tests.cache.test_recorded_traffic import traffic
from tests.commands.test_cache_eval import Here, here
from tests.telemetry.test_traffic import record

pytest.importorskip("onnxruntime", reason="the extra `semantic` is not installed")
pytest.importorskip("faiss", reason="the extra `semantic` is not installed")
__all__ = ["here"]

LEARN = ("How do I learn French?", "How can I learn French?")
START = "Begin with an app, and speak every day."
PEOPLE = "What was the population of Norway in 1994?"
PEOPLE_LATER = PEOPLE.replace("1994", "1995")


def told(text: str) -> Any:
    message = {"role": "assistant", "content": text}
    return {"choices": [{"index": 0, "finish_reason": "stop", "message": message}]}


def asked(second: int, text: str, answer: str | None = None, **more: Any) -> Record:
    request = {"model": "m", "messages": [{"role": "user", "content": text}]}
    fields = {"request": request, "answer": answer and told(answer), "headers": {}, **more}
    return record(id=f"req-{second}", at=1.8e9 + second, **fields)


def measured(here: Here, *records: Record) -> Mapping[str, Any]:
    file = here.home / "log.jsonl"
    file.write_bytes(b"".join(wire.encode(each) + b"\n" for each in records))
    return here.json(file)


@pytest.mark.slow
def test_hits_are_judged_by_the_recorded_answers(here: Here) -> None:
    found = measured(
        here,
        asked(1, LEARN[0], START),
        asked(2, LEARN[0].lower(), START),
        asked(3, LEARN[1], START),
        asked(4, PEOPLE, "4.3 million."),
        asked(5, PEOPLE_LATER, "4.4 million."),
    )
    assert (found["lookups"], found["hits"], found["exact"]) == (5, 2, 1)
    assert (found["wrong"], found["unknown"], found["wrong_per_lookup"]) == (0, 0, 0)
    assert found["negatives_served"] == 0
    assert (found["records"], found["answers_known"]) == (5, 5)
    assert found["vetoes"].keys() == {"number"}


@pytest.mark.slow
def test_a_wrong_hit_is_told(here: Here) -> None:
    found = measured(
        here, asked(1, LEARN[0], START), asked(2, LEARN[1], "The moon is made of green cheese.")
    )
    assert (found["wrong"], found["wrong_per_lookup"], found["negatives_served"]) == (1, 0.5, 1)
    assert found["suggested"] is None or found["suggested"]["hits"] == 0


@pytest.mark.slow
def test_without_answers_nobody_knows_and_it_says_so(here: Here) -> None:
    records = (asked(1, LEARN[0]), asked(2, LEARN[1]))
    found = measured(here, *records)
    assert (found["hits"], found["wrong"], found["unknown"]) == (1, 0, 1)
    code, out, _ = here.run(here.home / "log.jsonl")
    assert code == 0
    assert "Of 1 hits nobody knows whether they are right" in out
    assert "2 look-ups of recorded requests; records: 2; answers known: 0" in out


@pytest.mark.slow
def test_what_a_similar_question_was_served_says_nothing_about_its_own_answer(here: Here) -> None:
    served = CacheSaid("hit-semantic", "", "ans-1")
    found = measured(here, asked(1, LEARN[0], START), asked(2, LEARN[1], START, cache=served))
    assert (found["hits"], found["unknown"]) == (1, 1)


@pytest.mark.slow
def test_other_tenants_models_and_prompts_never_meet(here: Here) -> None:
    system = {"role": "system", "content": "Be brief."}
    question = {"role": "user", "content": LEARN[0]}
    other = {"model": "other", "messages": [question]}
    prompt = {"model": "m", "messages": [system, question]}
    found = measured(
        here,
        asked(1, LEARN[0], START),
        asked(2, LEARN[0], START, tenant="bob"),
        asked(3, LEARN[0], START, request=other),
        asked(4, LEARN[0], START, request=prompt),
        asked(5, LEARN[0], START, labels={"team": "x"}),
    )
    assert (found["lookups"], found["hits"]) == (5, 0)


@pytest.mark.slow
def test_what_the_stage_passes_by_is_counted_and_failures_are_not_stored(here: Here) -> None:
    embedding = {"model": "m", "input": "x"}
    found = measured(
        here,
        asked(1, LEARN[0], status=502, code="bad_upstream"),
        asked(2, LEARN[0], START, headers={"x-turnout-cache": "bypass"}),
        asked(3, LEARN[0], START, headers={"x-turnout-cache": "nonsense"}),
        asked(4, "x", endpoint="embeddings", request=embedding),
        asked(5, "x", request={"model": "m"}),
        asked(6, LEARN[0], START),
        asked(7, LEARN[0], START, headers={"x-turnout-cache": "refresh"}),
        asked(8, LEARN[0], START),
    )
    assert (found["lookups"], found["hits"], found["exact"]) == (3, 1, 1)
    assert (found["bypass_asked"], found["bypass_refused"], found["bypass_endpoint"]) == (1, 2, 1)


@pytest.mark.slow
def test_a_when_of_the_stage_and_its_ttl_hold_here_too(here: Here) -> None:
    when = {"endpoint": "chat"}
    here.configure([{"stage": "semantic_cache", "ttl": 10, "when": when, "semantic": {}}])
    found = measured(
        here,
        asked(1, LEARN[0], START),
        asked(10, LEARN[0], START),
        asked(12, LEARN[0], START),
        asked(13, "x", endpoint="completions", request={"model": "m", "prompt": "x"}),
    )
    assert (found["lookups"], found["exact"], found["bypass_skipped"]) == (3, 1, 1)


@pytest.mark.slow
def test_what_a_gateway_recorded_can_be_measured(here: Here, tmp_path: Path) -> None:
    (tmp_path / "gateway").mkdir()
    folder = asyncio.run(traffic(tmp_path / "gateway", {"answers": True}))
    found = here.json(folder)
    assert (found["records"], found["lookups"], found["answers_known"]) == (4, 4, 4)
    assert found["hits"] == 0


def test_json_has_what_scripts_go_by(here: Here) -> None:
    file = here.home / "log.jsonl"
    file.write_text(json.dumps({"v": 9}) + "\n")
    code, _, err = here.run(file)
    assert code == 1
    assert "line 1: `v` is 9" in err
