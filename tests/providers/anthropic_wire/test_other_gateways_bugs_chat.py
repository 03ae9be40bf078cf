"""Bugs that other gateways had for OpenAI clients of Anthropic models; one test each, so not here.

The name in brackets is where it was reported.
"""

import json
from typing import Any

import pytest

from gateway.core.errors import StreamCut, UpstreamError
from gateway.core.reply import Block
from gateway.providers.anthropic_wire.chat_content import thinking_blocks
from gateway.providers.anthropic_wire.chat_reply import message_to_chat
from tests.fakes.anthropic_events import (
    closing,
    codec,
    collect,
    delta,
    end,
    event,
    opening,
    start,
    text,
    tool,
)
from tests.fakes.chat_call import PNG, claude, function, refusal, sent, translate, turns

MARK = {"type": "ephemeral"}
USER = {"role": "user", "content": "hi"}
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


def _chat(**message: Any) -> dict[str, Any]:
    given = {"id": "msg_1", "type": "message", "content": [], "stop_reason": "end_turn", **message}
    body, _ = message_to_chat(json.dumps(given).encode(), model="m", created=1)
    completion: dict[str, Any] = json.loads(body)
    return completion


def test_a_tool_call_is_not_lost_in_a_stream() -> None:
    """[LiteLLM 36262]."""
    got = collect([start(), tool(0, "a", "look", '{"x":1}'), end("tool_use")])
    assert got.calls == [("a", "look", '{"x":1}')]


def test_text_and_tool_in_one_turn_keeps_the_tool() -> None:
    """[LiteLLM 18238]."""
    everything = start() + text(0, "Look.") + tool(1, "a", "look", "{}") + end("tool_use")
    got = collect([everything])
    assert got.joined("content") == "Look."
    assert got.calls == [("a", "look", "{}")]


def test_argument_fragments_arrive_one_by_one() -> None:
    """[LiteLLM 25836]."""
    got = collect([start(), tool(0, "a", "look", '{"x":', '"y', '"}'), end("tool_use")])
    fragments = [call["function"]["arguments"] for call in got.listed("tool_calls")]
    assert fragments == ["", '{"x":', '"y', '"}']


def test_cached_tokens_are_counted() -> None:
    """[LiteLLM 31069]."""
    parts = [start(input_tokens=3, cache_read_input_tokens=90), text(0, "x"), end()]
    usage = collect(parts, include_usage=True).raw[-1]["usage"]
    assert usage["prompt_tokens"] == 93
    assert usage["prompt_tokens_details"]["cached_tokens"] == 90


def test_reasoning_tokens_are_counted() -> None:
    """[LiteLLM 36376]."""
    usage = {"output_tokens": 9, "output_tokens_details": {"thinking_tokens": 7}}
    assert _chat(usage=usage)["usage"]["completion_tokens_details"] == {"reasoning_tokens": 7}


def test_a_turn_with_a_call_never_ends_with_stop() -> None:
    """[LiteLLM 34692, Bifrost 6123]."""
    got = collect([start(), text(0, "Look."), tool(1, "a", "look", "{}"), end("end_turn")])
    assert got.finish == "tool_calls"
    use = {"type": "tool_use", "id": "a", "name": "look", "input": {}}
    whole = _chat(content=[{"type": "text", "text": "Look."}, use])
    assert whole["choices"][0]["finish_reason"] == "tool_calls"


def test_an_error_in_the_middle_of_a_stream_is_raised() -> None:
    """[LiteLLM 29223]."""
    reader = codec()
    reader.feed(Block(start() + text(0, "x")))
    with pytest.raises(StreamCut):
        reader.feed(Block(event("error", error={"type": "api_error", "message": "m"})))


def test_the_least_effort_is_a_budget_that_anthropic_takes() -> None:
    """[LiteLLM 1.83: minimal was 128]."""
    body = sent(claude(thinking="budget", max_output=8192), reasoning_effort="minimal")
    assert body["thinking"]["budget_tokens"] == 1024
    assert body["max_tokens"] > 1024


@pytest.mark.parametrize("reason", ["pause_turn", "model_context_window_exceeded"])
def test_rare_stop_reasons_do_not_turn_into_a_plain_stop(reason: str) -> None:
    """[LiteLLM 1.83]."""
    choice = _chat(stop_reason=reason)["choices"][0]
    assert (choice["finish_reason"], choice["native_finish_reason"]) != ("stop", None)
    assert choice["native_finish_reason"] == reason


def test_without_a_limit_the_answer_may_be_as_long_as_the_model_can() -> None:
    """[LiteLLM: 4096]."""
    assert sent(claude(max_output=64_000))["max_tokens"] == 64_000


def test_a_cut_stream_gets_no_invented_finish() -> None:
    """[LiteLLM client]."""
    reader = codec()
    out = reader.feed(Block(start() + text(0, "x")))
    with pytest.raises(UpstreamError):
        reader.finish()
    assert out.count(b'"finish_reason":null') == out.count(b'"finish_reason"')
    assert out.count(b"[DONE]") == 0


def test_every_stream_has_a_finish_reason() -> None:
    """[Bifrost 1821]."""
    for reason in ("end_turn", "max_tokens", "tool_use", "refusal", "new"):
        assert collect([start(), text(0, "x"), end(reason)]).finish is not None


def test_cache_marks_survive_on_everything_that_is_not_text() -> None:
    """[Bifrost 1935, 3942]."""
    picture = {"type": "image_url", "image_url": {"url": PNG}, "cache_control": MARK}
    body = sent(
        tools=[{**function(), "cache_control": MARK}],
        messages=[
            {"role": "user", "content": [picture]},
            {"role": "assistant", "tool_calls": [{**CALL, "cache_control": MARK}]},
            {"role": "tool", "tool_call_id": "c1", "content": "x", "cache_control": MARK},
        ],
    )
    marked = [turn["content"][0]["cache_control"] for turn in body["messages"]]
    assert [body["tools"][0]["cache_control"], *marked] == [MARK] * 4


def test_signatures_make_the_round_trip_through_a_client() -> None:
    """[Bifrost 5274]."""
    block = {"type": "thinking", "thinking": "hm", "signature": "S"}
    use = {"type": "tool_use", "id": "c1", "name": "look", "input": {}}
    message = _chat(content=[block, use])["choices"][0]["message"]
    found = turns(USER, message, {"role": "tool", "tool_call_id": "c1", "content": "x"})
    assert found[1]["content"] == [block, use]


def test_signatures_of_a_stream_make_it_too() -> None:
    """[Bifrost 5274]."""
    thought = opening(0, type="thinking", thinking="", signature="")
    thought += delta(0, "thinking_delta", thinking="hm")
    thought += delta(0, "signature_delta", signature="S") + closing(0)
    got = collect([start(), thought, tool(1, "c1", "look", "{}"), end("tool_use")])
    message = {"reasoning_details": got.listed("reasoning_details")}
    expected = [{"type": "thinking", "thinking": "hm", "signature": "S"}]
    assert thinking_blocks(message, "at") == expected


def test_a_tool_and_a_call_without_arguments_are_taken() -> None:
    """[Bifrost 3512]."""
    body = sent(
        tools=[function()],
        messages=[
            USER,
            {"role": "assistant", "content": "", "tool_calls": [
                {**CALL, "function": {"name": "look", "arguments": ""}}
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": ""},
        ],
    )  # fmt: skip
    assert body["tools"][0]["input_schema"]["type"] == "object"
    assert body["messages"][1]["content"] == [
        {"type": "tool_use", "id": "c1", "name": "look", "input": {}}
    ]


def test_one_call_at_a_time_and_allowed_tools_are_heeded() -> None:
    """[Bifrost 7348]."""
    allowed = {"mode": "auto", "tools": [function("find")]}
    body = sent(
        tools=[function("look"), function("find")],
        tool_choice={"type": "allowed_tools", "allowed_tools": allowed},
        parallel_tool_calls=False,
    )
    assert [given["name"] for given in body["tools"]] == ["find"]
    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}


def test_reasoning_is_passed_on_as_it_comes() -> None:
    """[Bifrost 974; Anthropic's own layer returns none]."""
    thought = opening(0, type="thinking", thinking="")
    thought += delta(0, "thinking_delta", thinking="h") + delta(0, "thinking_delta", thinking="m")
    got = collect([start(), thought, closing(0), text(1, "x"), end()])
    assert [d["reasoning_content"] for d in got.deltas if "reasoning_content" in d] == ["h", "m"]


def test_a_later_system_message_is_not_hoisted_nor_joined() -> None:
    """[Anthropic's OpenAI layer]."""
    system = [{"role": "system", "content": word} for word in ("one", "two", "three")]
    body = sent(messages=[*system[:2], USER, system[2]])
    assert [block["text"] for block in body["system"]] == ["one", "two"]
    assert "three" in body["messages"][0]["content"][1]["text"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", 1),
        ("logprobs", True),
        ("presence_penalty", 1),
        ("frequency_penalty", 1),
        ("logit_bias", {"1": 1}),
        ("reasoning_effort", "low"),
        ("n", 2),
        ("audio", {}),
    ],
)
def test_no_parameter_is_ignored_in_silence(name: str, value: object) -> None:
    """[Anthropic's OpenAI layer]."""
    assert refusal(**{name: value}).param == name


def test_what_is_changed_is_said() -> None:
    """[Anthropic's OpenAI layer clamps without a word]."""
    assert translate(temperature=2).dropped == ("temperature (clamped to 1)",)


def test_strictness_and_formats_reach_the_model() -> None:
    """[Anthropic's OpenAI layer]."""
    wanted = {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}
    served = claude(capabilities=frozenset({"json_schema"}))
    body = sent(served, tools=[function(strict=True)], response_format=wanted)
    assert body["tools"][0]["strict"] is True
    assert body["output_config"]["format"]["type"] == "json_schema"
