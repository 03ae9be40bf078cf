"""B07: what is not whole, not plain text or not from whom it should be is never kept."""

import json
from typing import Any

import pytest

from gateway.core.notes import Notes, Routed
from gateway.core.reply import Answered
from gateway.stages.semantic_cache.admission import stored_form, unfit, unfit_source
from tests.fakes.cached import ANSWER, CachedHouse


def choice(**changes: Any) -> dict[str, Any]:
    (plain,) = ANSWER["choices"]
    message = {**plain["message"], **changes.pop("message", {})}
    return {**plain, "message": message, **changes}


def body(*choices: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({**ANSWER, "choices": list(choices), **more}).encode()


BAD = {
    "unfinished": [
        body(choice(finish_reason="length")),
        body(choice(finish_reason="content_filter")),
        body(choice(finish_reason="tool_calls")),
        body(choice(finish_reason=None)),
        body(choice(), choice(finish_reason="length")),
    ],
    "tool_call": [
        body(choice(message={"tool_calls": [{"id": "t"}]})),
        body(choice(message={"tool_calls": [{"id": "t"}]}, finish_reason="tool_calls")),
        body(choice(message={"function_call": {"name": "f"}})),
    ],
    "refusal": [body(choice(message={"refusal": "I will not."}))],
    "audio": [body(choice(message={"audio": {"id": "a"}}))],
    "empty": [
        body(),
        body(choice(message={"content": ""})),
        body(choice(message={"content": " \n"})),
        body(choice(message={"content": None})),
        body({"index": 0, "finish_reason": "stop", "text": ""}),
        b"{}",
    ],
    "error": [body(choice(), error={"message": "no"})],
    "garbage": [b"", b"[]", b"{", b'{"choices": 3}'],
}
MESSAGE = {
    "type": "message",
    "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Paris."}],
    "stop_reason": "end_turn",
}
BAD_MESSAGES: dict[str, list[dict[str, Any]]] = {
    "unfinished": [
        {"stop_reason": "max_tokens"},
        {"stop_reason": None},
        {"stop_reason": "pause_turn"},
    ],
    "refusal": [{"stop_reason": "refusal"}],
    "tool_call": [{"content": [{"type": "tool_use"}]}, {"content": [{"type": "server_tool_use"}]}],
    "empty": [{"content": []}, {"content": [{"type": "text", "text": " "}]}],
    "error": [{"type": "error"}],
    "garbage": [{"content": 3}],
}


@pytest.mark.parametrize(("reason", "answer"), [(r, b) for r, each in BAD.items() for b in each])
async def test_b07_bad_answers_are_not_kept(reason: str, answer: bytes) -> None:
    assert unfit(answer, "chat") == reason
    house = CachedHouse()
    house.provider.body = answer
    for _ in range(2):
        await house.ask()
        assert house.result == ("miss", "")
    assert house.cache.events["refused", reason] == 2
    assert len(house.cache.shelf) == 0


@pytest.mark.parametrize(
    ("reason", "change"), [(r, c) for r, each in BAD_MESSAGES.items() for c in each]
)
def test_b07_bad_messages_are_not_kept(reason: str, change: dict[str, Any]) -> None:
    assert unfit(json.dumps({**MESSAGE, **change}).encode(), "messages") == reason


def test_good_answers_of_every_kind_are_kept() -> None:
    assert unfit(body(choice(), choice()), "chat") == ""
    assert unfit(body({"finish_reason": "stop", "text": "so"}), "completions") == ""
    assert unfit(json.dumps(MESSAGE).encode(), "messages") == ""


def test_only_whom_the_request_or_the_policy_chose_counts() -> None:
    first, second = Routed("a", "acme", "ordered"), Routed("b", "acme", "ordered")
    answered = Answered(provider="acme", model="a")

    def judged(*routed: Routed, by: Answered = answered) -> str:
        notes = Notes()
        for note in routed:
            notes.add(note)
        return unfit_source(by, notes)

    assert judged() == ""
    assert judged(first) == ""
    assert judged(first, second) == ""  # a race that the first one won
    assert judged(second, first) == "fallback"
    assert judged(Routed("a", "acme", "left alone", fallback=True)) == "fallback"
    assert judged(first, by=Answered("acme", "a", degraded=("estimated-tokens",))) == "degraded"
    assert judged(first, by=Answered("acme", "a", dropped=("seed",))) == "degraded"


def test_what_is_kept_is_every_byte_but_those_of_its_own() -> None:
    answer = (
        b'{"id":"x","logprobs":-0.10000000000000000001,"created":3,"choices":[ 1e-7, "\\u00e9"]}'
    )
    assert stored_form(answer) == (
        b'{"logprobs":-0.10000000000000000001,"choices":[ 1e-7, "\\u00e9"]}'
    )
