"""What the turns of an Anthropic conversation become as OpenAI chat messages."""

from typing import Any

import pytest

from gateway.core.errors import CapabilityMissing
from tests.fakes.messages_call import TOOL, USER, chat, model, refusal, translate


def test_mid_conversation_system_messages_stay_in_place() -> None:
    messages = [*USER, {"role": "system", "content": "Now in French."}]
    messages += [{"role": "assistant", "content": "salut"}, {"role": "user", "content": "ok"}]
    assert chat(messages=messages)["messages"] == messages


def test_a_lone_text_block_is_a_plain_string() -> None:
    content = [{"type": "text", "text": "hi"}]
    assert chat(messages=[{"role": "user", "content": content}])["messages"] == USER


def use(use_id: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": use_id, "name": "look", "input": arguments}


def result(use_id: str, content: Any = "seen", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": use_id, "content": content, **more}


def with_results(*turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A conversation in which two tools were called, then the given user turns."""
    said = {"type": "text", "text": "Let me."}
    asked = {"role": "assistant", "content": [said, use("t1", at=1), use("t2")]}
    return [*USER, asked, *({"role": "user", "content": turn} for turn in turns)]


def test_tool_calls_keep_ids_names_and_arguments() -> None:
    sent = chat(messages=with_results([result("t1"), result("t2")]), tools=[TOOL])
    assert sent["messages"][1:] == [
        {
            "role": "assistant",
            "content": "Let me.",
            "tool_calls": [
                {
                    "id": "t1",
                    "type": "function",
                    "function": {"name": "look", "arguments": '{"at":1}'},
                },
                {"id": "t2", "type": "function", "function": {"name": "look", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "seen"},
        {"role": "tool", "tool_call_id": "t2", "content": "seen"},
    ]


def test_tool_results_come_before_what_the_user_adds_even_over_several_turns() -> None:
    first = [{"type": "text", "text": "by the way"}, result("t1")]
    sent = chat(messages=with_results(first, [result("t2")]))["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool", "tool", "user"]
    assert sent[-1]["content"] == "by the way"


def test_a_calls_id_that_is_too_long_is_replaced_alike_in_call_and_result() -> None:
    long = "t" * 60
    asked = {"role": "assistant", "content": [use(long)]}
    sent = chat(messages=[*USER, asked, {"role": "user", "content": [result(long)]}])["messages"]
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"] != long
    assert len(sent[2]["tool_call_id"]) <= 40


def test_an_assistant_turn_of_calls_only_has_null_content() -> None:
    asked = {"role": "assistant", "content": [use("t1")]}
    sent = chat(messages=[*USER, asked, {"role": "user", "content": [result("t1")]}])
    assert sent["messages"][1]["content"] is None


def test_pictures_in_a_result_follow_in_a_labelled_user_message() -> None:
    picture = {"type": "image", "source": {"type": "url", "url": "https://a.test/b.png"}}
    turn = [result("t1", [picture]), result("t2", [{"type": "text", "text": "two"}, picture])]
    sent = chat(messages=with_results([*turn, {"type": "text", "text": "So?"}]))["messages"]
    assert [message["role"] for message in sent[2:]] == ["tool", "tool", "user", "user", "user"]
    assert sent[2]["content"]
    assert sent[3]["content"] == "two"
    assert "t1" in sent[4]["content"][0]["text"]
    assert sent[4]["content"][1]["image_url"] == {"url": "https://a.test/b.png"}
    assert "t2" in sent[5]["content"][0]["text"]
    assert sent[6]["content"] == "So?"


def test_a_failed_tool_says_so_in_its_text() -> None:
    failed = result("t2", is_error=True)
    sent = chat(messages=with_results([result("t1", is_error=False), failed]))["messages"]
    assert sent[2]["content"] == "seen"
    assert sent[3]["content"] == "Error: seen"


def test_a_result_without_content_is_an_empty_tool_message() -> None:
    bare = {"type": "tool_result", "tool_use_id": "t1"}
    assert chat(messages=with_results([bare, result("t2")]))["messages"][2]["content"] == ""


def thought(**facts: Any) -> dict[str, Any]:
    turn = {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
            {"type": "redacted_thinking", "data": "x"},
            {"type": "thinking", "thinking": "ours", "signature": ""},
            {"type": "text", "text": "A."},
        ],
    }
    messages: list[Any] = [*USER, turn, *USER]
    sent: dict[str, Any] = chat(model(**facts), messages=messages)["messages"][1]
    return sent


def test_signed_thinking_is_left_out() -> None:
    assert thought() == {"role": "assistant", "content": "A."}


def test_reasoning_that_came_from_such_an_upstream_goes_back_to_it() -> None:
    assert thought(thinking="budget")["reasoning_content"] == "ours"
    assert "reasoning_content" not in thought(
        thinking="budget", max_tokens_field="max_completion_tokens"
    )


def test_an_assistant_turn_that_held_only_thinking_disappears() -> None:
    turn = {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "x"}]}
    assert chat(messages=[*USER, turn, *USER])["messages"] == [*USER, *USER]


def test_an_empty_conversation_is_refused_here() -> None:
    assert refusal(messages=[{"role": "user", "content": ""}]).param == "messages"


def test_a_prefilled_answer_is_refused_as_chat_upstreams_do_not_continue_it() -> None:
    messages = [*USER, {"role": "assistant", "content": "{"}]
    error = refusal(messages=messages)
    assert (error.code, error.param) == ("unsupported_parameter", "messages[1]")
    assert isinstance(refusal(messages=messages, chosen=True), CapabilityMissing)
    allowed = translate(messages=messages, drop=True)
    assert allowed.dropped == ("messages.prefill",)
    assert allowed.request.fields["messages"] == messages


def test_citations_are_a_loss_but_only_when_asked_for() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "milk"}
    asked = {"type": "document", "source": source, "citations": {"enabled": True}}
    messages = [{"role": "user", "content": [asked]}]
    assert refusal(messages=messages).param == "citations"
    assert translate(messages=messages, drop=True).dropped == ("citations",)
    asked["citations"] = {"enabled": False}
    assert translate(messages=messages).dropped == ()


@pytest.mark.parametrize(
    ("block", "place"),
    [
        ({"type": "image", "source": {"type": "file", "file_id": "f"}}, ".source.type"),
        ({"type": "document", "source": {"type": "url", "url": "https://a.test"}}, ".source.type"),
        ({"type": "container_upload", "file_id": "f"}, ".type"),
    ],
)
def test_content_without_words_in_chat_is_a_missing_capability(
    block: dict[str, Any], place: str
) -> None:
    error = refusal(messages=[{"role": "user", "content": [block]}])
    assert isinstance(error, CapabilityMissing)
    assert error.param == f"messages[0].content[0]{place}"


IMAGE = {"type": "base64", "media_type": "image/tiff", "data": ""}
PDF = {"type": "base64", "media_type": "text/html", "data": ""}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [1]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{}]}]}, "messages[0].content[0].type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages[0].content[0].text",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": IMAGE}]}]},
            "messages[0].content[0].source.media_type",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "document", "source": PDF}]}]},
            "messages[0].content[0].source.media_type",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "document", "source": 1}]}]},
            "messages[0].content[0].source",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "document", "source": {}, "title": 1}]}
                ]
            },
            "messages[0].content[0].title",
        ),
        (
            {"messages": [{"role": "assistant", "content": [{**use("t"), "input": "{}"}]}]},
            "messages[0].content[0].input",
        ),
        ({"system": 5}, "system"),
        ({"system": [{"type": "image"}]}, "system[0].type"),
        ({"system": [{}]}, "system[0].type"),
    ],
)
def test_malformed_input_is_refused_by_place(fields: dict[str, Any], param: str) -> None:
    error = refusal(**fields)
    assert error.status == 400
    assert error.param == param
