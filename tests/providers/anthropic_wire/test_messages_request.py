"""What an Anthropic request becomes for an upstream that speaks OpenAI chat completions."""

import json
from typing import Any

import pytest

from gateway.core.errors import BadRequest
from tests.fakes.messages_call import USER, chat, model, refusal, translate


def test_a_plain_request_keeps_its_meaning_under_the_upstreams_names() -> None:
    translated = translate(system="Be brief.", temperature=0.5, top_p=0.9, stop_sequences=["END"])
    assert translated.request.endpoint == "chat"
    assert translated.request.model == "theirs"
    assert not translated.request.stream
    assert translated.dropped == ()
    assert json.loads(translated.request.body) == {
        "model": "theirs",
        "max_tokens": 50,
        "messages": [{"role": "system", "content": "Be brief."}, *USER],
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["END"],
    }


def test_a_stream_asks_for_usage() -> None:
    translated = translate(stream=True)
    assert translated.request.stream
    assert translated.request.fields["stream"] is True
    assert translated.request.fields["stream_options"] == {"include_usage": True}


def test_the_limit_goes_where_the_model_takes_it_and_never_above_its_maximum() -> None:
    served = model(max_tokens_field="max_completion_tokens", max_output=30)
    sent = chat(served)
    assert sent["max_completion_tokens"] == 30
    assert "max_tokens" not in sent


@pytest.mark.parametrize("limit", [None, 0, -1, True, "10", 1.5])
def test_a_missing_or_senseless_limit_is_refused(limit: object) -> None:
    error = refusal(max_tokens=limit)
    assert isinstance(error, BadRequest)
    assert error.param == "max_tokens"


def test_system_blocks_become_one_message_and_cache_control_is_not_passed_on() -> None:
    block = {"type": "text", "text": "one", "cache_control": {"type": "ephemeral"}}
    sent = chat(
        system=[block, {"type": "text", "text": "two"}], cache_control={"type": "ephemeral"}
    )
    assert sent["messages"][0] == {"role": "system", "content": "one\n\ntwo"}
    assert "cache_control" not in json.dumps(sent)


def test_an_empty_system_prompt_is_left_out() -> None:
    assert chat(system="")["messages"] == USER


def test_more_than_four_stop_sequences_are_refused() -> None:
    error = refusal(stop_sequences=list("abcde"))
    assert (error.code, error.param) == ("unsupported_parameter", "stop_sequences")
    assert "stop" not in chat(stop_sequences=[])


def test_top_k_is_dropped_only_with_leave_or_for_a_chosen_target() -> None:
    assert refusal(top_k=4).param == "top_k"
    assert translate(top_k=4, drop=True).dropped == ("top_k",)
    assert translate(top_k=4, chosen=True).dropped == ("top_k",)


def test_sampling_that_the_model_refuses_is_treated_alike() -> None:
    assert refusal(served=model(sampling="none"), temperature=1).param == "temperature"
    both = translate(model(sampling="one"), chosen=True, temperature=1, top_p=0.5)
    assert both.dropped == ("top_p",)
    assert both.request.fields["temperature"] == 1


@pytest.mark.parametrize(
    ("fields", "effort"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 10_000}}, "high"),
        ({"thinking": {"type": "adaptive"}}, "high"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, "low"),
        ({"output_config": {"effort": "max"}}, "max"),
        ({"thinking": {"type": "disabled"}}, None),
        ({}, None),
    ],
)
def test_thinking_becomes_effort(fields: dict[str, Any], effort: str | None) -> None:
    assert chat(model(thinking="both"), **fields).get("reasoning_effort") == effort


def test_thinking_for_a_model_that_does_not_think_is_dropped_like_sampling() -> None:
    thinking = {"type": "enabled", "budget_tokens": 2000}
    assert refusal(thinking=thinking).param == "thinking"
    assert translate(thinking=thinking, chosen=True).dropped == ("thinking",)
    dropped = translate(output_config={"effort": "low"}, drop=True).dropped
    assert dropped == ("output_config.effort",)
    assert translate(thinking={"type": "disabled"}).dropped == ()


@pytest.mark.parametrize("place", ["now", "beta"])
def test_structured_output_is_kept(place: str) -> None:
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    wanted = {"type": "json_schema", "schema": schema}
    sent = chat(
        **({"output_config": {"format": wanted}} if place == "now" else {"output_format": wanted})
    )
    assert sent["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "response", "schema": schema, "strict": True},
    }


def test_who_asks_and_at_which_tier() -> None:
    sent = chat(metadata={"user_id": "u1"}, service_tier="standard_only")
    assert (sent["user"], sent["service_tier"]) == ("u1", "default")
    assert "service_tier" not in chat(service_tier="auto", metadata={"user_id": None})


@pytest.mark.parametrize(
    "name",
    ["container", "mcp_servers", "context_management", "inference_geo", "user_profile_id"],
)
def test_what_only_anthropic_has_is_refused_by_name(name: str) -> None:
    fields: dict[str, Any] = {name: "x"}
    error = refusal(**fields)
    assert (error.code, error.param) == ("unsupported_parameter", name)
    assert translate(drop=True, **fields).dropped == (name,)


def test_fast_mode_is_refused_and_standard_speed_is_not() -> None:
    assert refusal(speed="fast").param == "speed"
    assert translate(speed="standard", diagnostics={}).dropped == ()


def test_an_unknown_field_is_refused_and_named_only_when_it_is_plainly_a_name() -> None:
    assert refusal(frobnicate=1).param == "frobnicate"
    error = refusal(**{"sk-frobnicate": 1})
    assert error.param is None
    assert "frobnicate" not in error.public


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": 1.5}, "temperature"),
        ({"top_p": True}, "top_p"),
        ({"stop_sequences": "x"}, "stop_sequences"),
        ({"stop_sequences": [1]}, "stop_sequences"),
        ({"thinking": {"type": "sometimes"}}, "thinking.type"),
        ({"thinking": 1}, "thinking.type"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"output_config": 1}, "output_config"),
        ({"output_config": {"effort": ["low"]}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "text"}}}, "output_config.format.type"),
        ({"output_format": {"type": "json_schema"}}, "output_format.schema"),
        ({"metadata": {"user_id": 7}}, "metadata.user_id"),
        ({"service_tier": "gold"}, "service_tier"),
    ],
)
def test_malformed_input_is_refused_by_place(fields: dict[str, Any], param: str) -> None:
    error = refusal(**fields)
    assert error.status == 400
    assert error.param == param
