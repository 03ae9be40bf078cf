"""What a provider says it used is read with suspicion, and summed the way it bills."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.reply import Usage
from gateway.core.usage import anthropic_usage, openai_usage, token_count


@given(st.one_of(st.integers(), st.floats(), st.text(), st.booleans(), st.none()))
def test_a_token_count_is_a_sensible_number_or_the_last_one(value: Any) -> None:
    assert 0 <= token_count(value, 7) <= 10**9


@pytest.mark.parametrize("value", [None, {}, [], "many", 7])
def test_no_usage_object_leaves_what_was_known(value: Any) -> None:
    assert openai_usage(value) is None
    assert openai_usage(value, Usage(input=3)) == Usage(input=3)


def test_a_later_usage_object_wins_field_by_field() -> None:
    known = Usage(input=10, output=1)
    later = openai_usage({"prompt_tokens": None, "completion_tokens": 5}, known)
    assert later == Usage(input=10, output=5)


def test_more_cached_than_input_tokens_is_not_believed() -> None:
    told = {"prompt_tokens": 5, "completion_tokens": 1}
    usage = openai_usage({**told, "prompt_tokens_details": {"cached_tokens": 9}})
    assert usage == Usage(input=5, output=1, cached=5)


@pytest.mark.parametrize("told", [{"prompt_tokens": 7}, {"completion_tokens": 7}])
def test_half_of_what_was_used_is_doubtful_and_not_0(told: dict[str, int]) -> None:
    usage = openai_usage(told)
    assert usage is not None
    assert usage.doubtful
    other = openai_usage({"prompt_tokens": 7, "completion_tokens": None})
    assert other == Usage(input=7, doubtful=True)


def test_anthropic_input_includes_what_was_cached_and_written() -> None:
    given = {
        "input_tokens": 1,
        "cache_read_input_tokens": 20,
        "cache_creation_input_tokens": 300,
        "output_tokens": 4,
        "output_tokens_details": {"thinking_tokens": 2},
    }
    assert anthropic_usage(given) == Usage(321, 4, cached=20, cache_write=300, reasoning=2)


def test_iterations_count_without_the_advisors_share() -> None:
    steps = [
        {"type": "message", "input_tokens": 5, "output_tokens": 1},
        {"type": "advisor_message", "input_tokens": 50, "output_tokens": 10},
        {"type": "compaction", "input_tokens": 7, "output_tokens": 2},
    ]
    given = {"input_tokens": 99, "output_tokens": 99, "iterations": steps}
    assert anthropic_usage(given) == Usage(input=12, output=3)


def test_what_is_written_for_an_hour_is_part_of_what_is_written() -> None:
    given = {
        "input_tokens": 1,
        "cache_creation_input_tokens": 300,
        "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
        "output_tokens": 4,
    }
    assert anthropic_usage(given) == Usage(301, 4, cache_write=300, cache_write_1h=200)
    given["cache_creation"] = {"ephemeral_1h_input_tokens": 900}
    assert anthropic_usage(given).cache_write_1h == 300
