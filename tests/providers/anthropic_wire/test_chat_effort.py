"""What reasoning effort becomes on each generation of models."""

from typing import Any

import pytest

from gateway.core.errors import CapabilityMissing
from tests.fakes.chat_call import claude, function, refusal, sent, translate

BUDGET = claude(thinking="budget", max_output=64_000)
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "S"}


def _tool_turn(**more: Any) -> list[dict[str, Any]]:
    return [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [CALL], **more},
        {"role": "tool", "tool_call_id": "c1", "content": "fine"},
    ]


@pytest.mark.parametrize(
    ("effort", "budget"),
    [("minimal", 1024), ("low", 1024), ("medium", 4096), ("high", 16_384), ("max", 32_768)],
)
def test_a_budget_is_part_of_the_limit_which_is_what_the_caller_pays(
    effort: str, budget: int
) -> None:
    body = sent(BUDGET, reasoning_effort=effort, max_completion_tokens=50_000)
    assert body["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert body["max_tokens"] == 50_000


def test_a_budget_leaves_a_fifth_of_the_limit_for_text() -> None:
    body = sent(BUDGET, reasoning_effort="high", max_tokens=5000)
    assert body["max_tokens"] == 5000
    assert body["thinking"]["budget_tokens"] == 4000


def test_without_a_limit_the_models_own_is_shared() -> None:
    body = sent(claude(thinking="budget", max_output=4000), reasoning_effort="high")
    assert body["max_tokens"] == 4000
    assert body["thinking"]["budget_tokens"] == 3200


@pytest.mark.parametrize("limit", [1, 100, 1278])
def test_where_no_budget_fits_the_turn_goes_without_and_says_so(limit: int) -> None:
    translated = translate(BUDGET, reasoning_effort="low", max_completion_tokens=limit)
    assert translated.request.fields["max_tokens"] == limit
    assert "thinking" not in translated.request.fields
    assert translated.dropped == ("reasoning_effort (max_tokens leaves no room)",)


@pytest.mark.parametrize(
    ("thinking", "effort", "theirs"),
    [
        ("adaptive", "minimal", "low"),
        ("adaptive", "xhigh", "xhigh"),
        ("adaptive", "max", "max"),
        ("both", "medium", "medium"),
        ("both", "xhigh", "high"),
        ("both", "max", "max"),
    ],
)
def test_newer_models_think_as_they_see_fit(thinking: str, effort: str, theirs: str) -> None:
    body = sent(claude(thinking=thinking), reasoning_effort=effort, max_tokens=100)
    assert body["thinking"] == {"type": "adaptive"}
    assert body["output_config"] == {"effort": theirs}
    assert body["max_tokens"] == 100


def test_effort_and_output_format_share_their_place() -> None:
    served = claude(thinking="adaptive", capabilities=frozenset({"json_schema"}))
    wanted = {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}
    body = sent(served, reasoning_effort="low", response_format=wanted)
    assert set(body["output_config"]) == {"format", "effort"}


@pytest.mark.parametrize("effort", ["none", None])
def test_no_effort_is_no_thinking(effort: object) -> None:
    assert "thinking" not in sent(BUDGET, reasoning_effort=effort)


@pytest.mark.parametrize("effort", ["huge", ["low"], 5])
def test_an_unknown_effort_is_refused(effort: object) -> None:
    assert refusal(BUDGET, reasoning_effort=effort).param == "reasoning_effort"


def test_a_model_that_does_not_think_refuses_or_drops_it() -> None:
    assert refusal(reasoning_effort="low").code == "unsupported_parameter"
    assert isinstance(refusal(chosen=True, reasoning_effort="low"), CapabilityMissing)
    assert translate(drop=True, reasoning_effort="low").dropped == ("reasoning_effort",)


def test_a_forced_tool_goes_without_thinking_and_says_so() -> None:
    fields = {"tools": [function()], "tool_choice": "required", "reasoning_effort": "low"}
    translated = translate(BUDGET, **fields)
    assert "thinking" not in translated.request.fields
    assert translated.request.fields["tool_choice"] == {"type": "any"}
    assert translated.dropped == ("reasoning_effort (a tool is forced)",)


def test_a_prefill_goes_without_thinking_and_says_so() -> None:
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "So"}]
    translated = translate(BUDGET, messages=messages, reasoning_effort="low")
    assert translated.dropped == ("reasoning_effort (the answer is prefilled)",)


def test_a_tool_turn_without_its_thinking_goes_on_without_and_says_so() -> None:
    translated = translate(BUDGET, messages=_tool_turn(), reasoning_effort="low")
    assert "thinking" not in translated.request.fields
    assert translated.dropped == (
        "reasoning_effort (the tool turn came back without its thinking)",
    )


def test_a_tool_turn_with_its_thinking_goes_on_thinking() -> None:
    body = sent(BUDGET, messages=_tool_turn(thinking_blocks=[THOUGHT]), reasoning_effort="low")
    assert body["thinking"]["type"] == "enabled"
    assert body["messages"][1]["content"][0] == THOUGHT


def test_older_tool_turns_do_not_matter() -> None:
    messages = [
        *_tool_turn(),
        {"role": "assistant", "content": "done"},
        {"role": "user", "content": "more"},
    ]
    assert sent(BUDGET, messages=messages, reasoning_effort="low")["thinking"]["type"] == "enabled"
