"""Reading a request narrowly, and changing it without touching the rest."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.chat import DIALECTS, MAX_MESSAGES, Endpoint, parse_request
from gateway.core.errors import BadRequest

USER = {"role": "user", "content": "hunter2"}
MINIMAL: dict[Endpoint, dict[str, Any]] = {
    "chat": {"model": "m", "messages": [USER]},
    "completions": {"model": "m", "prompt": "x"},
    "embeddings": {"model": "m", "input": ["x"]},
    "messages": {"model": "m", "max_tokens": 1, "messages": [USER]},
    "count_tokens": {"model": "m", "messages": [USER]},
}


def body_of(endpoint: Endpoint = "chat", **changes: Any) -> bytes:
    fields = {**MINIMAL[endpoint], **changes}
    return json.dumps({k: v for k, v in fields.items() if v is not ...}).encode()


@pytest.mark.parametrize("endpoint", list(MINIMAL))
def test_a_minimal_request_of_every_endpoint_is_read(endpoint: Endpoint) -> None:
    body = body_of(endpoint)
    request = parse_request(endpoint, body)
    assert request.body is body
    assert request.model == "m"
    assert not request.stream
    assert not request.wants_usage
    assert request.dialect == DIALECTS[endpoint]


def test_only_the_messages_endpoints_speak_anthropic() -> None:
    assert {e for e, d in DIALECTS.items() if d == "anthropic"} == {"messages", "count_tokens"}


def test_what_the_caller_said_in_headers_is_kept() -> None:
    request = parse_request(
        "messages", body_of("messages"), betas=("context-1m",), version="2026-10-21"
    )
    changed = request.with_fields(model="n")
    assert (changed.betas, changed.version) == (("context-1m",), "2026-10-21")


BAD: dict[str, tuple[Endpoint, dict[str, Any], str]] = {
    "no model": ("chat", {"model": ...}, "model"),
    "an empty model": ("chat", {"model": ""}, "model"),
    "a model that is a number": ("chat", {"model": 4}, "model"),
    "a model that is null": ("chat", {"model": None}, "model"),
    "a huge model name": ("chat", {"model": "hunter2" * 100}, "model"),
    "stream as text": ("chat", {"stream": "true"}, "stream"),
    "stream as number": ("chat", {"stream": 1}, "stream"),
    "stream_options as list": ("chat", {"stream_options": []}, "stream_options"),
    "no messages": ("chat", {"messages": ...}, "messages"),
    "null messages": ("chat", {"messages": None}, "messages"),
    "empty messages": ("messages", {"messages": []}, "messages"),
    "messages as text": ("count_tokens", {"messages": "hunter2"}, "messages"),
    "a message as text": ("chat", {"messages": [USER, "hunter2"]}, "messages[1].role"),
    "a message without role": ("chat", {"messages": [{"content": "x"}]}, "messages[0].role"),
    "a role as number": ("chat", {"messages": [{"role": 1}]}, "messages[0].role"),
    "too many messages": ("chat", {"messages": [USER] * (MAX_MESSAGES + 1)}, "messages"),
    "no prompt": ("completions", {"prompt": ...}, "prompt"),
    "an empty prompt": ("completions", {"prompt": ""}, "prompt"),
    "a prompt as object": ("completions", {"prompt": {"a": 1}}, "prompt"),
    "an empty input": ("embeddings", {"input": []}, "input"),
    "an input as number": ("embeddings", {"input": 7}, "input"),
}


@pytest.mark.parametrize(("endpoint", "changes", "param"), BAD.values(), ids=BAD.keys())
def test_a_bad_parameter_is_named_and_its_value_never_repeated(
    endpoint: Endpoint, changes: dict[str, Any], param: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_request(endpoint, body_of(endpoint, **changes))
    assert caught.value.param == param
    assert f"'{param}'" in caught.value.public
    assert "hunter2" not in caught.value.public


def test_nulls_where_they_mean_absent_are_fine() -> None:
    request = parse_request("chat", body_of(stream=None, stream_options=None))
    assert not request.stream


def test_usage_is_wanted_only_when_asked_for_plainly() -> None:
    def wants(options: Any) -> bool:
        return parse_request("chat", body_of(stream=True, stream_options=options)).wants_usage

    assert wants({"include_usage": True})
    assert not wants({"include_usage": False})
    assert not wants({"include_usage": "true"})
    assert not wants({})
    assert not wants(None)


def test_a_changed_copy_has_the_change_and_the_original_has_not() -> None:
    body = b'{"model":"m","seed":1.0,"messages":[{"role":"user","content":"\\u0041"}],"n":1}'
    request = parse_request("chat", body)
    changed = request.with_fields(model="other", stream=True, n=None)
    assert changed.model == "other"
    assert changed.stream
    assert changed.body == (
        b'{"model":"other","seed":1.0,"messages":[{"role":"user","content":"\\u0041"}],'
        b'"stream":true}'
    )
    assert changed.fields == json.loads(changed.body)
    assert request.body is body
    assert request.fields["n"] == 1


values = st.none() | st.booleans() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)


@given(st.dictionaries(st.sampled_from(["seed", "user", "stop", "x"]), values))
def test_fields_and_body_of_a_copy_always_agree(changes: dict[str, Any]) -> None:
    request = parse_request("chat", body_of(seed=1, user=None))
    changed = request.with_fields(**changes)
    assert changed.fields == json.loads(changed.body)
    assert changed.endpoint == "chat"
    assert changed.model == "m"
