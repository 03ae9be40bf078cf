"""The words that differ between the dialects."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.reply import Usage
from gateway.core.usage import anthropic_usage, openai_usage
from gateway.providers.anthropic_wire.vocabulary import (
    BUDGET_OF_EFFORT,
    Losses,
    anthropic_tool_id,
    chat_usage,
    effort_of_budget,
    finish_reason,
    messages_usage,
    openai_tool_id,
    stop_reason,
)
from tests.fakes.chat_call import chat_call


@pytest.mark.parametrize(
    ("stop", "called", "finish"),
    [
        ("end_turn", False, "stop"),
        ("end_turn", True, "tool_calls"),
        ("tool_use", False, "tool_calls"),
        ("max_tokens", True, "length"),
        ("refusal", True, "content_filter"),
        (None, False, "stop"),
    ],
)
def test_a_finish_reason_says_that_a_tool_was_called(
    stop: str | None, called: bool, finish: str
) -> None:
    assert finish_reason(stop, called=called) == finish


@pytest.mark.parametrize(
    ("finish", "called", "sequence", "stop"),
    [
        ("stop", False, None, "end_turn"),
        ("stop", True, None, "tool_use"),
        ("stop", False, "END", "stop_sequence"),
        ("function_call", False, None, "tool_use"),
        ("length", True, None, "max_tokens"),
        ("content_filter", False, None, "refusal"),
        (None, False, None, "end_turn"),
    ],
)
def test_a_stop_reason_says_that_a_tool_was_called(
    finish: str | None, called: bool, sequence: str | None, stop: str
) -> None:
    assert stop_reason(finish, called=called, stop_sequence=sequence) == stop


_COUNTS = st.integers(min_value=0, max_value=10_000)


@given(_COUNTS, _COUNTS, _COUNTS, _COUNTS, _COUNTS)
def test_usage_survives_both_dialects(
    plain: int, output: int, cached: int, write: int, reasoning: int
) -> None:
    usage = Usage(plain + cached + write, output, cached, write, reasoning)
    assert anthropic_usage(messages_usage(usage)) == usage
    assert openai_usage(chat_usage(usage)) == usage


def test_more_cached_tokens_than_tokens_are_never_less_than_none() -> None:
    assert messages_usage(Usage(input=5, cached=9))["input_tokens"] == 0


def test_what_an_advisor_used_is_not_the_models_and_compaction_is() -> None:
    usage = {
        "input_tokens": 1,
        "output_tokens": 2,
        "cache_read_input_tokens": 3,
        "iterations": [
            {"type": "compaction", "input_tokens": 100, "output_tokens": 10},
            {"type": "message", "input_tokens": 20, "output_tokens": 5},
            {"type": "advisor_message", "input_tokens": 900, "output_tokens": 90},
            "odd",
        ],
    }
    assert anthropic_usage(usage) == Usage(input=123, output=15, cached=3)


@pytest.mark.parametrize("iterations", [None, [], [{"type": "advisor_message"}], 5])
def test_without_own_iterations_the_outer_numbers_count(iterations: object) -> None:
    usage = {"input_tokens": 1, "output_tokens": 2, "iterations": iterations}
    assert anthropic_usage(usage) == Usage(input=1, output=2)


@pytest.mark.parametrize("odd", [None, "5", -3, 1.5, [], 10**15])
def test_numbers_that_make_no_sense_count_nothing(odd: Any) -> None:
    unsure = Usage(doubtful=True)
    assert anthropic_usage({"input_tokens": odd, "output_tokens_details": odd}) == unsure
    assert openai_usage({"prompt_tokens": odd, "prompt_tokens_details": odd}) == unsure


@pytest.mark.parametrize(
    ("budget", "effort"),
    [
        (1, "low"),
        (1024, "low"),
        (1025, "medium"),
        (16_384, "high"),
        (20_000, "high"),
        (32_000, "xhigh"),
    ],
)
def test_a_budget_is_an_effort(budget: int, effort: str) -> None:
    assert effort_of_budget(budget) == effort


def test_no_effort_is_below_what_anthropic_takes() -> None:
    assert min(BUDGET_OF_EFFORT.values()) >= 1024


@given(st.text(max_size=100))
def test_mapped_ids_are_legal_and_always_the_same(call_id: str) -> None:
    use_id = anthropic_tool_id(call_id)
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", use_id)
    assert use_id == anthropic_tool_id(call_id) == anthropic_tool_id(use_id)
    assert 0 < len(openai_tool_id(call_id)) <= 40


def test_legal_ids_stay_and_illegal_ones_stay_apart() -> None:
    assert anthropic_tool_id("toolu_01-a") == openai_tool_id("toolu_01-a") == "toolu_01-a"
    assert anthropic_tool_id("a:0") != anthropic_tool_id("a:1")
    assert openai_tool_id("x" * 41) != openai_tool_id("x" * 42)


def test_losses_are_listed_once_in_order() -> None:
    losses = Losses(chat_call(drop=True))
    losses.parameter("b")
    losses.sampling("a")
    losses.parameter("b")
    assert losses.dropped == ("b", "a")
