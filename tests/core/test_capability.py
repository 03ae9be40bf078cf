"""What a request needs of a model, in both dialects."""

import json
from typing import Any

import pytest

from gateway.core.capability import fit, lacking
from gateway.core.catalogue import Model
from gateway.core.chat import ChatRequest, Endpoint, parse_request
from gateway.core.errors import CapabilityMissing

BARE = Model(provider="p", name="bare", capabilities=frozenset())
TEXT = [{"role": "user", "content": "hi"}]
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ""}}
PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf"}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {}}}


def request(endpoint: Endpoint = "chat", **fields: Any) -> ChatRequest:
    content = {"prompt": "hi"} if endpoint == "completions" else {"messages": TEXT}
    return parse_request(endpoint, json.dumps({"model": "bare", **content, **fields}).encode())


def saying(*parts: Any) -> list[dict[str, Any]]:
    return [*TEXT, {"role": "user", "content": list(parts)}]


def needs(asked: ChatRequest, model: Model = BARE) -> list[tuple[str, str]]:
    return [(need.capability, need.param) for need in lacking(asked, model)]


@pytest.mark.parametrize(
    ("fields", "capability", "param"),
    [
        ({"tools": [{}]}, "tools", "tools"),
        ({"functions": [{}]}, "tools", "functions"),
        ({"response_format": SCHEMA}, "json_schema", "response_format"),
        ({"response_format": {"type": "json_object"}}, "json_object", "response_format"),
        ({"modalities": ["text", "audio"]}, "audio", "modalities"),
        ({"logprobs": True}, "logprobs", "logprobs"),
        ({"messages": saying({"type": "image_url"})}, "vision", "messages[1].content[0]"),
        ({"messages": saying({"type": "input_image"})}, "vision", "messages[1].content[0]"),
        ({"messages": saying("?", {"type": "file"})}, "documents", "messages[1].content[1]"),
        ({"messages": saying({"type": "input_audio"})}, "audio", "messages[1].content[0]"),
    ],
)
def test_what_a_chat_request_needs(fields: dict[str, Any], capability: str, param: str) -> None:
    assert needs(request(**fields)) == [(capability, param)]


@pytest.mark.parametrize(
    ("fields", "capability", "param"),
    [
        ({"tools": [{}]}, "tools", "tools"),
        ({"output_config": {"format": SCHEMA}}, "json_schema", "output_config.format"),
        ({"output_format": SCHEMA}, "json_schema", "output_format"),
        ({"messages": saying(IMAGE)}, "vision", "messages[1].content[0]"),
        ({"messages": saying(PDF)}, "documents", "messages[1].content[0].source"),
        (
            {"messages": saying({"type": "search_result", "content": [IMAGE]})},
            "vision",
            "messages[1].content[0].content[0]",
        ),
        (
            {"messages": saying({"type": "tool_result", "content": [{"type": "text"}, IMAGE]})},
            "vision",
            "messages[1].content[0].content[1]",
        ),
        (
            {
                "messages": saying(
                    {"type": "document", "source": {"type": "content", "content": [IMAGE]}}
                )
            },
            "vision",
            "messages[1].content[0].source.content[0]",
        ),
    ],
)
def test_what_a_messages_request_needs(fields: dict[str, Any], capability: str, param: str) -> None:
    assert needs(request("messages", **fields)) == [(capability, param)]


@pytest.mark.parametrize(
    "asked",
    [
        request(stream=True, temperature=1, tools=[], logprobs=False, modalities=["text"]),
        request(response_format={"type": "text"}),
        request(messages=saying({"type": "text", "text": "x"}, {"type": ["image"]})),
        request("messages", output_config={"effort": "low"}),
        request("messages", messages=saying({"type": "document", "source": {"type": "text"}})),
        request("messages", messages=saying({"type": ["x"]}, {"type": "document"})),
        request("messages", messages=saying({"type": "document", "source": "?"})),
        request("count_tokens", messages=saying(IMAGE)),
        request("completions"),
    ],
)
def test_what_every_model_can_do_is_no_need(asked: ChatRequest) -> None:
    assert needs(asked) == []


def test_a_model_whose_abilities_are_not_stated_is_asked_for_anything() -> None:
    assert (
        needs(request(tools=[{}], messages=saying({"type": "image_url"})), Model(provider="p"))
        == []
    )


def test_a_model_that_is_able_lacks_nothing() -> None:
    able = Model(provider="p", capabilities=frozenset({"tools", "vision", "documents", "audio"}))
    assert needs(request(tools=[{}], messages=saying({"type": "image_url"})), able) == []


def test_what_a_provider_stands_in_for_is_not_lacking() -> None:
    asked = request(response_format=SCHEMA)
    assert list(lacking(asked, BARE, frozenset({"response_format"}))) == []


def test_only_what_leaves_the_answer_the_same_is_dropped_and_only_with_leave() -> None:
    asked = request(logprobs=True, top_logprobs=3, seed=4)
    fitting, dropped = fit(asked, BARE, may_drop=True)
    assert dropped == ("logprobs", "top_logprobs")
    assert json.loads(fitting.body) == {"model": "bare", "messages": TEXT, "seed": 4}
    with pytest.raises(CapabilityMissing) as refused:
        fit(asked, BARE)
    assert (refused.value.param, refused.value.code) == ("logprobs", "capability_missing")
    with pytest.raises(CapabilityMissing, match="tools"):
        fit(request(logprobs=True, tools=[{}]), BARE, may_drop=True)


def test_a_request_that_needs_nothing_is_the_very_same_one() -> None:
    asked = request()
    assert fit(asked, BARE) == (asked, ())
    assert fit(asked, BARE)[0] is asked
