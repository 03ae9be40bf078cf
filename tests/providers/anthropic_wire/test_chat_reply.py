"""What a whole Anthropic message becomes for an OpenAI client."""

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from gateway.core.errors import GatewayError, UpstreamBroken, UpstreamBusy
from gateway.core.reply import Usage
from gateway.providers.anthropic_wire.chat_content import thinking_blocks
from gateway.providers.anthropic_wire.chat_reply import message_to_chat
from gateway.providers.anthropic_wire.vocabulary import PLAIN, AnswerForm


def _message(*content: Any, stop: str | None = "end_turn", **more: Any) -> bytes:
    return json.dumps(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-1",
            "content": list(content),
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": {"input_tokens": 10, "output_tokens": 5},
            **more,
        }
    ).encode()


def _whole(body: bytes, form: AnswerForm = PLAIN) -> dict[str, Any]:
    out, _ = message_to_chat(body, model="ours", created=7, form=form)
    completion: dict[str, Any] = json.loads(out)
    ChatCompletion.model_validate(completion)
    return completion


def _choice(*content: Any, form: AnswerForm = PLAIN, **more: Any) -> dict[str, Any]:
    (choice,) = _whole(_message(*content, **more), form)["choices"]
    found: dict[str, Any] = choice
    return found


def _text(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": text, **more}


def _use(use_id: str = "a", name: str = "look", **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": use_id, "name": name, "input": given}


def test_a_message_is_a_completion_under_the_callers_name_for_the_model() -> None:
    assert _whole(_message(_text("Hel"), _text("lo"))) == {
        "id": "msg_1",
        "object": "chat.completion",
        "created": 7,
        "model": "ours",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    }


def test_usage_is_returned_too() -> None:
    usage = {"input_tokens": 1, "cache_read_input_tokens": 2, "output_tokens": 3}
    _, found = message_to_chat(_message(usage=usage), model="m", created=1)
    assert found == Usage(input=3, output=3, cached=2)
    assert message_to_chat(_message(usage=None), model="m", created=1)[1] is None


def test_calls_keep_their_ids_names_and_arguments() -> None:
    choice = _choice(_use(city="Köln"), _use("b", "find"), stop="tool_use")
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"] == [
        {
            "id": "a",
            "type": "function",
            "function": {"name": "look", "arguments": '{"city":"Köln"}'},
        },
        {"id": "b", "type": "function", "function": {"name": "find", "arguments": "{}"}},
    ]


def test_an_empty_answer_is_an_empty_string() -> None:
    assert _choice()["message"]["content"] == ""


def test_thinking_is_readable_and_can_be_sent_back() -> None:
    given = [
        {"type": "thinking", "thinking": "hm", "signature": "S"},
        {"type": "redacted_thinking", "data": "D"},
    ]
    message = _choice(*given, {"type": "thinking", "thinking": "!"}, _text("x"))["message"]
    assert message["reasoning_content"] == "hm!"
    assert thinking_blocks(message, "at") == given


def test_web_citations_are_annotations_of_their_text() -> None:
    web = {"type": "web_search_result_location", "url": "https://x.example", "title": None}
    search = {"type": "search_result_location", "source": "https://y.example", "title": "Y"}
    page = {"type": "page_location", "document_title": "D"}
    cited = [web, page, "odd", search]
    message = _choice(_text("One. "), _text("Two.", citations=cited))["message"]
    assert [note["url_citation"] for note in message["annotations"]] == [
        {"url": "https://x.example", "title": "", "start_index": 5, "end_index": 9},
        {"url": "https://y.example", "title": "Y", "start_index": 5, "end_index": 9},
    ]


def test_a_refusal_is_a_content_filter_with_its_reason() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "Not that."}
    choice = _choice(stop="refusal", stop_details=details)
    assert choice["finish_reason"] == "content_filter"
    assert choice["message"]["refusal"] == "Not that."
    assert choice["message"]["content"] is None
    assert choice["stop_details"] == details
    assert _choice(stop="refusal")["message"]["refusal"] == "The model refused to answer."


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("pause_turn", "stop"), ("model_context_window_exceeded", "length"), ("new_one", "stop")],
)
def test_a_stop_without_a_word_of_openais_is_told_beside_it(reason: str, finish: str) -> None:
    choice = _choice(_text("x"), stop=reason)
    assert choice["finish_reason"] == finish
    assert choice["native_finish_reason"] == reason


def test_an_answer_tool_is_unwrapped_into_content() -> None:
    form = AnswerForm(json_tool="json_output")
    choice = _choice(_use(name="json_output", x=1), stop="tool_use", form=form)
    assert choice["message"]["content"] == '{"x":1}'
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "stop"


def test_a_caller_of_functions_gets_a_function_call() -> None:
    choice = _choice(_use(x=1), stop="tool_use", form=AnswerForm(functions=True))
    assert choice["message"]["function_call"] == {"name": "look", "arguments": '{"x":1}'}
    assert choice["finish_reason"] == "function_call"


def test_blocks_without_a_counterpart_are_left_out() -> None:
    choice = _choice(
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        {"type": "not_known_yet"},
        "odd",
        _text("x"),
    )
    assert choice["message"]["content"] == "x"


def test_an_error_with_status_200_is_an_error() -> None:
    error = {"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}}
    with pytest.raises(UpstreamBusy):
        message_to_chat(json.dumps(error).encode(), model="m", created=1)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"content":"x"}', b'"\xff"'])
def test_what_is_no_message_is_a_broken_upstream(body: bytes) -> None:
    with pytest.raises(UpstreamBroken) as caught:
        message_to_chat(body, model="m", created=1)
    assert caught.value.code == "bad_upstream"


@pytest.mark.parametrize(
    "block",
    [
        {"type": ["text"]},
        {"type": "text", "text": 5, "citations": 5},
        {"type": "tool_use", "input": None, "name": 5},
        {"type": "thinking", "thinking": 5, "signature": "S"},
    ],
)
def test_a_block_of_odd_shape_is_no_crash(block: dict[str, Any]) -> None:
    try:
        _choice(block, stop_sequence=5, stop_details="x", usage={"iterations": 5})
    except GatewayError as error:
        assert error.fault == "upstream"  # noqa: PT017 - any other exception is the failure
