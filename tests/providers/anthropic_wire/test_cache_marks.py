"""Marks for what a conversation repeats: where they stand, and what they leave as it was."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.anthropic_wire.cache_marks import MOST, marked
from tests.fakes.prompt_cache import marks_in, prompt_of, without_marks

LONG = "word " * 1000
MARK = {"type": "ephemeral"}
TOOL = {"name": "look", "input_schema": {"type": "object"}, "description": LONG}
ANSWER = {"role": "assistant", "content": "Yes."}


def user(*texts: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}


def sent(ttl: Any = "5m", least: int = 1000, **fields: Any) -> Any:
    body = json.dumps(fields).encode()
    return json.loads(marked(body, fields, ttl, least))


def test_the_last_tool_and_the_end_of_the_system_prompt_are_marked() -> None:
    said = sent(tools=[TOOL, TOOL], system=LONG, messages=[user("Hi")])
    assert said["tools"] == [TOOL, {**TOOL, "cache_control": MARK}]
    assert said["system"] == [{"type": "text", "text": LONG, "cache_control": MARK}]
    assert said["messages"] == [user("Hi")]


def test_an_hour_is_asked_for_by_name() -> None:
    said = sent("1h", system=[{"type": "text", "text": LONG}], messages=[user("Hi")])
    assert said["system"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}


def test_long_context_before_the_first_question_is_marked_and_a_question_is_not() -> None:
    said = sent(messages=[user(LONG, LONG, "What is it about?")])
    assert marks_in(said) == [1]
    assert marks_in(sent(messages=[user(LONG + "What is it about?")])) == []
    assert marks_in(sent(system=LONG, messages=[user("short", "What?")])) == [0]


def test_from_the_second_turn_on_the_end_of_the_conversation_is_marked() -> None:
    first = {"role": "user", "content": LONG}
    said = sent(messages=[first, ANSWER, {"role": "user", "content": "And?"}])
    assert said["messages"][2]["content"] == [
        {"type": "text", "text": "And?", "cache_control": MARK}
    ]
    assert said["messages"][:2] == [first, ANSWER]


def test_a_turn_of_many_blocks_marks_the_end_before_it_too() -> None:
    use = [{"type": "tool_use", "id": f"t{n}", "name": "look", "input": {}} for n in range(10)]
    told = [{"type": "tool_result", "tool_use_id": f"t{n}", "content": "r"} for n in range(10)]
    turns = [
        *(user(LONG), ANSWER, user("Look.")),
        *({"role": "assistant", "content": use}, {"role": "user", "content": told}),
    ]
    assert marks_in(sent(messages=turns)) == [2, 22]
    turns[4]["content"] = told[:9]
    assert marks_in(sent(messages=turns)) == [21]


def test_of_five_places_the_tools_go_without() -> None:
    many = [{"type": "text", "text": "x"}] * 25
    turns = [user(LONG, "Q"), ANSWER, user("A"), {"role": "assistant", "content": many}, user("B")]
    said = sent(tools=[TOOL], system=LONG, messages=turns)
    assert marks_in(said) == [1, 2, 5, 31]


@pytest.mark.parametrize(
    "fields",
    [
        {"cache_control": MARK, "system": LONG},
        {"system": [{"type": "text", "text": LONG, "cache_control": MARK}]},
        {"tools": [{**TOOL, "cache_control": MARK}], "system": LONG},
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "t",
                            "content": [{"type": "text", "text": LONG, "cache_control": MARK}],
                        }
                    ],
                }
            ]
        },
    ],
)
def test_whoever_marks_has_a_plan_and_it_stays_as_it_is(fields: dict[str, Any]) -> None:
    fields = {"messages": [user("Hi")], **fields}
    body = json.dumps(fields, indent=1).encode()
    assert marked(body, fields, "5m", 1) == body


def test_a_field_of_that_name_in_a_schema_is_no_mark() -> None:
    tool = {**TOOL, "input_schema": {"properties": {"cache_control": {"type": "string"}}}}
    assert marks_in(sent(tools=[tool], messages=[user("Hi")])) == [0]


def test_what_is_too_short_to_be_kept_is_not_marked_and_keeps_its_bytes() -> None:
    fields = {"system": "Be brief.", "messages": [user("Hi")]}
    body = json.dumps(fields, indent=1).encode()
    assert marked(body, fields, "5m", 1024) == body


def test_thinking_empty_text_and_deferred_tools_bear_no_mark() -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "s"}
    blank = {"type": "text", "text": " "}
    said = sent(
        least=1,
        tools=[TOOL, {**TOOL, "defer_loading": True}],
        system=[{"type": "text", "text": "a"}, blank],
        messages=[user("Hi"), {"role": "assistant", "content": [thinking]}, user("And?", " ")],
    )
    assert marks_in(said) == [0, 2, 6]


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [user("Hi")], "system": 7, "tools": {"no": "list"}},
        {"messages": [{"role": "user"}, {"role": "assistant"}, {"role": "user", "content": 3}]},
        {"messages": [{"role": "user", "content": [3, {"type": 4}]}], "tools": [None]},
    ],
)
def test_what_makes_no_sense_is_left_to_the_provider(fields: dict[str, Any]) -> None:
    assert sent(least=1, **fields) == fields


def test_every_value_keeps_its_very_bytes() -> None:
    odd = (
        b'{"temperature":1.00,"system":"caf\\u00e9 \\/","max_tokens":1e2,"messages":['
        b'{"role":"user","content":[{"type":"document","n":[1.0, 2],"source":{"a" : 1}},'
        b'{"type":"text","text":"\\u0041"}]}],"x":123456789012345678901234567890}'
    )
    said = marked(odd, json.loads(odd), "5m", 1)
    for part in (b"1.00", b'"caf\\u00e9 \\/"', b"1e2", b"[1.0, 2]", b'{"a" : 1}', b'"\\u0041"'):
        assert part in said
    assert b"123456789012345678901234567890" in said
    assert len(marks_in(json.loads(said))) == 2


TEXTS = st.text(max_size=20) | st.just(LONG)
BLOCKS = st.builds(lambda text: {"type": "text", "text": text}, TEXTS)
CONTENT = TEXTS | st.lists(BLOCKS, min_size=1, max_size=25)
PARTS = st.fixed_dictionaries(
    {}, optional={"tools": st.lists(st.just(TOOL), max_size=3), "system": CONTENT}
)


@given(PARTS, st.lists(CONTENT, min_size=1, max_size=9), st.sampled_from([1, 1024, 4096]))
def test_a_conversation_that_grows_keeps_its_beginning_and_has_four_marks_at_most(
    parts: dict[str, Any], contents: list[Any], least: int
) -> None:
    turns = [
        {"role": "assistant" if index % 2 else "user", "content": content}
        for index, content in enumerate(contents)
    ]
    before: list[str] = []
    fixed: list[int] = []
    for count in range(1, len(turns) + 1, 2):
        asked = {**parts, "messages": turns[:count]}
        said = sent(least=least, **asked)
        assert len(marks_in(said)) <= MOST
        assert without_marks(said) == without_marks(asked)
        prompt = [block for block, _ in prompt_of(said)]
        assert prompt[: len(before)] == before
        head = len(prompt) - sum(len(_list(each["content"])) for each in turns[:count])
        heads = [mark for mark in marks_in(said) if mark < head]
        assert count == 1 or heads[-1:] == fixed[-1:]
        before, fixed = prompt, heads


def _list(content: Any) -> list[Any]:
    return [content] if isinstance(content, str) else content
