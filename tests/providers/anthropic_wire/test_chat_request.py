"""What an OpenAI chat request becomes for an upstream that speaks Anthropic's API."""

import json
from itertools import pairwise
from typing import Any

import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from gateway.core.errors import BadRequest, CapabilityMissing, GatewayError
from gateway.providers.anthropic_wire.chat_request import DEFAULT_MAX_TOKENS
from tests.fakes.chat_call import HELLO, PNG, claude, function, refusal, sent, translate


def test_a_plain_request_keeps_its_meaning_under_the_upstreams_names() -> None:
    translated = translate(max_tokens=7, temperature=0.5, top_p=0.9, top_k=4, stop=["END"])
    assert translated.request.endpoint == "messages"
    assert translated.request.model == "claude"
    assert translated.dropped == ()
    assert json.loads(translated.request.body) == {
        "model": "claude",
        "max_tokens": 7,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 4,
        "stop_sequences": ["END"],
    }


def test_what_is_sent_is_what_anthropics_own_types_allow() -> None:
    body = sent(
        claude(capabilities=frozenset({"json_schema"}), thinking="adaptive"),
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG}}]},
        ],
        tools=[function(parameters={"type": "object"}, strict=True)],
        parallel_tool_calls=False,
        reasoning_effort="high",
        response_format={"type": "json_schema", "json_schema": {"schema": {"type": "object"}}},
        user="u-1",
        service_tier="auto",
        stop="END",
    )
    TypeAdapter(MessageCreateParamsNonStreaming).validate_python(body)


def test_a_stream_stays_a_stream_and_its_options_are_ours() -> None:
    translated = translate(stream=True, stream_options={"include_usage": True})
    assert translated.request.stream
    assert translated.request.fields["stream"] is True
    assert "stream_options" not in translated.request.fields


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ({"max_tokens": 5, "max_completion_tokens": 6}, 6),
        ({"max_tokens": 5}, 5),
        ({"max_tokens": None}, 64_000),
        ({"max_tokens": 99_000}, 99_000),
    ],
)
def test_the_limit_is_the_callers_or_the_models_own_maximum(
    fields: dict[str, Any], limit: int
) -> None:
    assert sent(claude(max_output=64_000), **fields)["max_tokens"] == limit


def test_without_a_known_maximum_the_limit_is_what_every_model_can_give() -> None:
    assert sent()["max_tokens"] == DEFAULT_MAX_TOKENS


def test_a_limit_above_a_chosen_models_maximum_is_lowered_and_listed() -> None:
    translated = translate(claude(max_output=100), chosen=True, max_tokens=500)
    assert translated.request.fields["max_tokens"] == 100
    assert translated.dropped == ("max_tokens (lowered to the model's 100)",)


@pytest.mark.parametrize("value", [0, -1, True, 1.5, "9"])
def test_a_limit_that_is_no_count_is_refused(value: object) -> None:
    assert refusal(max_tokens=value).param == "max_tokens"


def test_a_temperature_above_one_is_clamped_and_listed() -> None:
    translated = translate(temperature=1.7)
    assert translated.request.fields["temperature"] == 1
    assert translated.dropped == ("temperature (clamped to 1)",)


def test_a_temperature_that_is_not_sent_is_not_called_clamped() -> None:
    error = refusal(claude(sampling="none"), temperature=1.5)
    assert error.param == "temperature"
    translated = translate(claude(sampling="none"), chosen=True, temperature=1.5)
    assert "temperature" not in translated.request.fields
    assert translated.dropped == ("temperature",)


@pytest.mark.parametrize(("tier", "theirs"), [("flex", "standard_only"), ("priority", "auto")])
def test_a_service_tier_that_anthropic_has_not_is_listed(tier: str, theirs: str) -> None:
    translated = translate(service_tier=tier)
    assert translated.request.fields["service_tier"] == theirs
    assert translated.dropped == (f"service_tier (as {theirs})",)


@pytest.mark.parametrize(
    ("name", "value"),
    [("temperature", 2.1), ("temperature", "hot"), ("top_p", -0.1), ("top_p", True)],
)
def test_a_sampling_value_out_of_range_is_refused(name: str, value: object) -> None:
    assert refusal(**{name: value}).param == name


def test_a_model_that_takes_no_sampling_refuses_it_by_name() -> None:
    error = refusal(claude(sampling="none"), temperature=0.2)
    assert isinstance(error, BadRequest)
    assert (error.code, error.param) == ("unsupported_parameter", "temperature")


@pytest.mark.parametrize("leave", [{"chosen": True}, {"drop": True}])
def test_a_model_that_takes_no_sampling_loses_it_with_leave(leave: dict[str, bool]) -> None:
    translated = translate(claude(sampling="none"), **leave, temperature=0.2, top_p=0.5, top_k=3)
    assert translated.dropped == ("temperature", "top_p", "top_k")
    assert not {"temperature", "top_p", "top_k"} & set(translated.request.fields)


def test_sampling_defaults_pass_where_no_sampling_is_taken() -> None:
    translated = translate(claude(sampling="none"), temperature=1, top_p=1.0)
    assert translated.dropped == ()
    assert "temperature" not in translated.request.fields


def test_a_model_that_takes_one_of_both_keeps_the_temperature() -> None:
    served = claude(sampling="one")
    assert refusal(served, temperature=0.2, top_p=0.5).param == "top_p"
    translated = translate(served, chosen=True, temperature=0.2, top_p=0.5)
    assert translated.dropped == ("top_p",)
    assert translated.request.fields["temperature"] == 0.2
    assert sent(served, top_p=0.5)["top_p"] == 0.5


def test_a_model_that_thinks_takes_no_sampling_in_that_turn() -> None:
    served = claude(thinking="budget", max_output=64_000)
    translated = translate(served, drop=True, reasoning_effort="low", temperature=0.2)
    assert translated.dropped == ("temperature",)
    assert "temperature" not in translated.request.fields


def test_stops_of_white_space_are_left_out_and_listed() -> None:
    translated = translate(stop=["\n\n", "END"])
    assert translated.request.fields["stop_sequences"] == ["END"]
    assert translated.dropped == ("stop (white space only)",)
    assert "stop_sequences" not in sent(stop=" ")
    assert refusal(stop=[1]).param == "stop"


@pytest.mark.parametrize("leave", [{}, {"chosen": True}, {"drop": True}])
def test_several_answers_are_never_silently_one(leave: dict[str, bool]) -> None:
    error = refusal(n=2, **leave)
    assert error.param == "n"
    assert isinstance(error, CapabilityMissing if leave.get("chosen") else BadRequest)
    assert sent(n=1)["messages"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", 0),
        ("logit_bias", {"5": 1}),
        ("presence_penalty", 0.5),
        ("frequency_penalty", 0.5),
    ],
)
def test_sampling_that_has_no_word_is_refused_or_dropped(name: str, value: object) -> None:
    error = refusal(**{name: value})
    assert (error.code, error.param, error.status) == ("unsupported_parameter", name, 400)
    assert translate(chosen=True, **{name: value}).dropped == (name,)
    assert translate(drop=True, **{name: value}).dropped == (name,)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("logprobs", True),
        ("top_logprobs", 3),
        ("prediction", {"type": "content", "content": "x"}),
        ("modalities", ["text", "audio"]),
        ("audio", {"voice": "alloy"}),
        ("web_search_options", {}),
    ],
)
def test_what_changes_the_answer_is_a_missing_capability_of_a_chosen_model(
    name: str, value: object
) -> None:
    assert refusal(**{name: value}).code == "unsupported_parameter"
    error = refusal(chosen=True, **{name: value})
    assert isinstance(error, CapabilityMissing)
    assert error.param == name
    assert translate(chosen=True, drop=True, **{name: value}).dropped == (name,)


def test_values_that_change_nothing_pass_in_silence() -> None:
    translated = translate(
        logprobs=False,
        top_logprobs=0,
        modalities=["text"],
        presence_penalty=0.0,
        frequency_penalty=0,
        logit_bias={},
        seed=None,
        store=False,
        metadata={},
        prompt_cache_key="k",
        prompt_cache_options={"mode": "explicit"},
        verbosity="medium",
        reasoning_effort="none",
        service_tier=None,
    )
    assert translated.dropped == ()
    assert set(translated.request.fields) == {"model", "max_tokens", "messages"}


def test_what_nobody_will_keep_is_listed() -> None:
    assert translate(store=True, metadata={"a": "b"}).dropped == ("store", "metadata")


ODD_NAMES = ["Odd Näme\r\n", "x" * 41, "foox-evil1", "sk-secret-caller", "tk9f3a91c2", "_", ""]
"""Names that may be anything, also somebody's key."""


def test_an_unknown_parameter_is_named_when_it_is_plainly_a_name() -> None:
    error = refusal(top_wish=1)
    assert (error.code, error.param) == ("unsupported_parameter", "top_wish")
    assert "'top_wish'" in error.public
    assert translate(drop=True, top_wish=1, min_p=0, v2=3).dropped == ("top_wish", "min_p", "v2")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_an_unknown_parameter_that_may_be_anything_is_not_repeated(name: str) -> None:
    error = refusal(**{name: 1})
    assert (error.code, error.param) == ("unsupported_parameter", None)
    assert not name or name not in error.public
    assert translate(drop=True, **{name: 1}).dropped == ("unnamed",)


@pytest.mark.parametrize("name", ["user", "safety_identifier"])
def test_the_end_user_is_named_to_the_upstream(name: str) -> None:
    assert sent(**{name: "u-1"})["metadata"] == {"user_id": "u-1"}
    assert refusal(**{name: 5}).param == name


@pytest.mark.parametrize(
    ("tier", "theirs"),
    [
        ("auto", "auto"),
        ("priority", "auto"),
        ("default", "standard_only"),
        ("flex", "standard_only"),
    ],
)
def test_the_service_tier_is_translated(tier: str, theirs: str) -> None:
    assert sent(service_tier=tier)["service_tier"] == theirs


@pytest.mark.parametrize("tier", ["gold", ["auto"]])
def test_an_unknown_service_tier_is_refused(tier: object) -> None:
    assert refusal(service_tier=tier).param == "service_tier"


def test_automatic_caching_passes_and_five_marks_are_too_many() -> None:
    mark = {"type": "ephemeral"}
    part = {"type": "text", "text": "a", "cache_control": mark}
    messages = [{"role": "system", "content": [part] * 2}, {"role": "user", "content": [part]}]
    body = sent(cache_control=mark, messages=messages)
    assert body["cache_control"] == mark
    tools = [{**function(), "cache_control": mark}]
    assert refusal(cache_control=mark, messages=messages, tools=tools).param == "cache_control"
    assert refusal(cache_control="yes").param == "request.cache_control"


def test_anthropics_own_thinking_parameter_passes_as_it_is() -> None:
    thinking = {"type": "enabled", "budget_tokens": 2000}
    assert sent(thinking=thinking, reasoning_effort="low")["thinking"] == thinking
    off = translate(thinking={"type": "disabled"}, temperature=0.1)
    assert off.request.fields["temperature"] == 0.1
    assert refusal(thinking="yes").param == "thinking"


_LEAF = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "text", "function", "user", "json_schema", PNG, "{}", "required"])
)
_NAMES = st.sampled_from(
    [
        "type", "text", "content", "image_url", "url", "file", "file_data", "name", "arguments",
        "function", "id", "tool_calls", "cache_control", "schema", "json_schema", "properties",
        "format", "minItems", "thinking_blocks", "reasoning_details", "signature", "data", "mode",
        "tools", "allowed_tools", "index",
    ]
)  # fmt: skip
_JSON = st.recursive(
    _LEAF, lambda below: st.lists(below, max_size=3) | st.dictionaries(_NAMES, below, max_size=4)
)
_FIELDS = st.sampled_from(
    [
        "max_tokens", "tools", "tool_choice", "functions", "function_call", "response_format",
        "reasoning_effort", "temperature", "top_p", "top_k", "stop", "n", "user", "service_tier",
        "cache_control", "logprobs", "logit_bias", "thinking", "seed", "other",
    ]
)  # fmt: skip
_MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool", "function"])},
    optional={
        "content": _JSON,
        "tool_calls": _JSON,
        "tool_call_id": _JSON,
        "function_call": _JSON,
        "thinking_blocks": _JSON,
        "reasoning_details": _JSON,
        "refusal": _JSON,
        "cache_control": _JSON,
        "name": _JSON,
    },
)


@settings(max_examples=300)
@given(
    messages=st.lists(_MESSAGE, min_size=1, max_size=4),
    fields=st.dictionaries(_FIELDS, _JSON, max_size=3),
    drop=st.booleans(),
)
def test_no_request_of_any_shape_is_a_crash(
    messages: list[dict[str, Any]], fields: dict[str, Any], drop: bool
) -> None:
    served = claude(thinking="budget", capabilities=frozenset({"json_schema"}))
    try:
        translated = translate(served, drop=drop, messages=HELLO + messages, **fields)
    except GatewayError as error:
        assert error.status == 400  # noqa: PT017 - any other exception is the failure
    else:
        roles = [turn["role"] for turn in translated.request.fields["messages"]]
        assert all(one != two for one, two in pairwise(roles))
