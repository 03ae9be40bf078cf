"""What an OpenAI chat stream becomes for an Anthropic client."""

import json
from typing import Any

import pytest

from gateway.core.errors import StreamCut, UpstreamBroken, UpstreamBusy
from gateway.core.reply import Usage
from gateway.providers.anthropic_wire.messages_stream import ChatEventsToMessage
from tests.fakes.chat_upstream import DONE, END, ROLE, chunk, event, fragment, usage_chunk
from tests.fakes.messages_sdk import read_stream
from tests.fakes.messages_stream import feed, shape, translate, translate_failing


def test_a_text_stream_is_read_by_the_sdk() -> None:
    read = read_stream(translate(ROLE, chunk(content="Hel"), chunk(content="lo."), END))
    assert (read.id, read.model, read.role) == ("msg_1", "ours", "assistant")
    assert read.content[0].model_dump(include={"type", "text"}) == {
        "type": "text",
        "text": "Hello.",
    }
    assert (read.stop_reason, read.stop_sequence) == ("end_turn", None)
    assert (read.usage.input_tokens, read.usage.cache_read_input_tokens) == (20, 10)
    assert read.usage.output_tokens == 7
    assert read.usage.output_tokens_details is not None
    assert read.usage.output_tokens_details.thinking_tokens == 3


def test_the_events_come_in_anthropics_order() -> None:
    assert shape(translate(ROLE, chunk(content="Hi"), END)) == [
        "start",
        "start 0",
        "delta 0 Hi",
        "stop 0",
        "delta",
        "stop",
    ]


def test_the_tally_tells_usage_reason_and_a_clean_end() -> None:
    codec = ChatEventsToMessage(model="m")
    primed = []
    for block in (ROLE, chunk(content="x"), END):
        feed(codec, block)
        primed.append((codec.primed, codec.tally.clean))
    assert primed == [(False, False), (True, False), (True, True)]
    assert codec.tally.finish == "end_turn"
    assert codec.tally.usage == Usage(input=30, output=7, cached=10, reasoning=3)


def test_a_refusal_is_text_and_the_stop_reason() -> None:
    read = read_stream(translate(chunk(refusal="I "), chunk(refusal="won't."), END))
    assert read.content[0].model_dump()["text"] == "I won't."
    assert read.stop_reason == "refusal"
    assert read.stop_details is not None
    assert read.stop_details.explanation == "I won't."


def test_further_choices_are_passed_over() -> None:
    read = read_stream(translate(chunk(content="a"), chunk(content="b", index=1), END))
    assert read.content[0].model_dump()["text"] == "a"


@pytest.mark.parametrize(
    ("finish", "reason"),
    [("length", "max_tokens"), ("content_filter", "refusal"), ("stop", "end_turn")],
)
def test_stop_reasons(finish: str, reason: str) -> None:
    assert read_stream(translate(chunk(content="x"), chunk(finish), DONE)).stop_reason == reason


def test_a_matched_stop_string_is_reported() -> None:
    ended = chunk("stop", choice={"stop_reason": "END"})
    read = read_stream(translate(chunk(content="x"), ended, DONE))
    assert (read.stop_reason, read.stop_sequence) == ("stop_sequence", "END")


def test_the_end_waits_for_done_so_that_the_last_usage_counts() -> None:
    codec = ChatEventsToMessage(model="m")
    assert b"message_delta" not in feed(codec, chunk("stop", content="x"))
    assert feed(codec, usage_chunk()) == b""
    assert b"message_stop" in feed(codec, DONE)
    assert codec.finish() == b""


def test_usage_on_the_finish_chunk_is_used() -> None:
    final = json.loads(chunk("stop", content="x")[6:])
    final["usage"] = {"prompt_tokens": 4, "completion_tokens": 2}
    read = read_stream(translate(event(final), DONE))
    assert (read.usage.input_tokens, read.usage.output_tokens) == (4, 2)


def test_a_missing_done_after_the_finish_is_a_clean_end() -> None:
    codec = ChatEventsToMessage(model="m")
    feed(codec, chunk("stop", content="x"))
    assert shape(bytes(codec.finish()))[-1] == "stop"
    assert codec.tally.clean


def test_done_without_a_finish_reason_is_an_end_all_the_same() -> None:
    assert read_stream(translate(fragment(0, "a", "look", "{}"), DONE)).stop_reason == "tool_use"


def test_content_after_a_finish_reason_is_kept() -> None:
    body = translate(chunk("length", reasoning="hm"), chunk("length", content="A"), DONE)
    assert [block.type for block in read_stream(body).content] == ["thinking", "text"]


def test_an_end_without_a_finish_is_a_cut() -> None:
    out, error = translate_failing(ROLE, chunk(content="half"))
    assert isinstance(error, StreamCut)
    assert error.code == "upstream_truncated"
    assert b"message_stop" not in out


@pytest.mark.parametrize("blocks", [(), (ROLE,), (b": processing\n\n",)])
def test_an_end_before_any_content_may_be_tried_elsewhere(blocks: tuple[bytes, ...]) -> None:
    assert isinstance(translate_failing(*blocks)[1], UpstreamBroken)


def test_done_before_any_content_is_a_broken_upstream() -> None:
    assert isinstance(translate_failing(DONE)[1], UpstreamBroken)


ERROR: dict[str, Any] = {"error": {"message": "busy", "code": 429}}


def test_an_error_before_any_content_keeps_its_kind() -> None:
    assert isinstance(translate_failing(ROLE, event(ERROR))[1], UpstreamBusy)


@pytest.mark.parametrize("name", [b"", b"event: error\n"])
def test_an_error_in_the_middle_is_a_cut(name: bytes) -> None:
    out, error = translate_failing(chunk(content="half"), name + event(ERROR))
    assert isinstance(error, StreamCut)
    assert shape(out) == ["start", "start 0", "delta 0 half"]


def test_an_error_finish_is_a_cut() -> None:
    broken = chunk("error", choice={"error": {"message": "gone"}})
    assert isinstance(translate_failing(chunk(content="half"), broken)[1], StreamCut)


@pytest.mark.parametrize(
    "block",
    [
        b"data: {oops\n\n",
        b'data: {"choices":[{"delta":7}]}\n\n',
        chunk(tool_calls=["x"]),
        b"data: \xff\n\n",
    ],
)
def test_garbage_is_a_broken_upstream_and_later_a_cut(block: bytes) -> None:
    assert isinstance(translate_failing(block)[1], UpstreamBroken)
    assert isinstance(translate_failing(chunk(content="x"), block)[1], StreamCut)


def test_comments_become_pings_once_the_message_has_begun() -> None:
    body = translate(b": wait\n\n", ROLE, b": wait\n\n", chunk(content="x"), END, b": bye\n\n")
    assert body.count(b'event: ping\ndata: {"type": "ping"}\n\n') == 1
    assert body.startswith(b"event: message_start\n")
    assert read_stream(body).stop_reason == "end_turn"


def test_a_comment_beside_data_is_no_ping() -> None:
    assert b"ping" not in translate(b": note\n" + chunk(content="x"), END)


def test_the_first_chunk_without_choices_does_not_name_the_message() -> None:
    first = event({"id": "", "choices": [], "prompt_filter_results": []})
    assert read_stream(translate(first, ROLE, chunk(content="x"), END)).id == "msg_1"
