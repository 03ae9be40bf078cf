"""What an Anthropic event stream becomes for an OpenAI client."""

import pytest

from gateway.core.reply import Block, Usage
from gateway.providers.anthropic_wire.chat_content import thinking_blocks
from gateway.providers.anthropic_wire.vocabulary import AnswerForm
from tests.fakes.anthropic_events import (
    closing,
    codec,
    collect,
    delta,
    end,
    event,
    opening,
    start,
    text,
    tool,
)


def test_a_stream_has_a_role_first_then_content_a_finish_and_done() -> None:
    got = collect([start(), text(0, "Hel", "lo"), end()])
    assert got.deltas == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "Hel"},
        {"content": "lo"},
        {},
    ]
    assert got.finish == "stop"
    assert got.done
    heads = [{name: chunk[name] for name in chunk if name != "choices"} for chunk in got.raw]
    head = {"id": "msg_1", "object": "chat.completion.chunk", "created": 7, "model": "ours"}
    assert heads == [head] * 4
    assert all(choice["finish_reason"] is None for choice in got.choices[:-1])


def test_usage_is_null_in_every_chunk_and_a_chunk_of_its_own_at_the_end() -> None:
    parts = [
        start(input_tokens=10, cache_read_input_tokens=4, cache_creation_input_tokens=2),
        text(0, "x"),
        end(
            output=9,
            usage={"input_tokens": 12, "output_tokens_details": {"thinking_tokens": 3}},
        ),
    ]
    got = collect(parts, include_usage=True)
    assert [chunk["usage"] for chunk in got.raw[:-1]] == [None] * 3
    assert got.raw[-1]["choices"] == []
    assert got.raw[-1]["usage"] == {
        "prompt_tokens": 18,
        "completion_tokens": 9,
        "total_tokens": 27,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }


def test_the_tally_is_kept_whether_or_not_the_caller_asked_for_usage() -> None:
    reader = codec()
    for part in (start(), text(0, "x"), end("max_tokens")):
        assert not reader.tally.clean
        assert reader.feed(Block(part)).count(b"usage") == 0
    assert reader.tally.clean
    assert reader.tally.finish == "length"
    assert reader.tally.usage == Usage(input=10, output=5)


def test_numbers_that_are_null_later_keep_what_was_known() -> None:
    reader = codec()
    reader.feed(Block(start(cache_read_input_tokens=4) + text(0, "x")))
    reader.feed(Block(end(usage={"input_tokens": None, "cache_read_input_tokens": None})))
    assert reader.tally.usage == Usage(input=14, output=5, cached=4)


def test_the_stream_is_primed_by_content_and_nothing_before_it() -> None:
    reader = codec()
    silence = start() + event("ping") + opening(0, type="text", text="") + b": note\n\n"
    reader.feed(Block(silence + delta(0, "text_delta", text="")))
    assert not reader.primed
    reader.feed(Block(delta(0, "text_delta", text="a")))
    assert reader.primed


@pytest.mark.parametrize(
    "part",
    [
        opening(0, type="tool_use", id="a", name="look", input={}),
        opening(0, type="thinking", thinking="") + delta(0, "thinking_delta", thinking="hm"),
        opening(0, type="text", text="a"),
        end(),
    ],
)
def test_calls_thoughts_and_the_finish_prime_it_too(part: bytes) -> None:
    reader = codec()
    reader.feed(Block(start() + part))
    assert reader.primed


def test_a_ping_is_a_comment() -> None:
    got = collect([start(), event("ping"), text(0, "x"), end()])
    assert got.comments == 1


def test_calls_are_counted_by_themselves_whatever_blocks_stand_between() -> None:
    got = collect(
        [
            start(),
            text(0, "Look."),
            tool(1, "a", "look", "", '{"x"', ":1}"),
            opening(2, type="server_tool_use", id="s", name="web_search", input={}),
            delta(2, "input_json_delta", partial_json='{"q":1}'),
            closing(2),
            tool(3, "b", "find", "{}"),
            end("tool_use"),
        ]
    )
    assert got.calls == [("a", "look", '{"x":1}'), ("b", "find", "{}")]
    assert got.joined("content") == "Look."
    assert got.finish == "tool_calls"


def test_a_call_without_fragments_still_has_its_arguments() -> None:
    got = collect([start(), tool(0, "a", "look"), tool(1, "b", "find", x=1), end("tool_use")])
    assert got.calls == [("a", "look", "{}"), ("b", "find", '{"x":1}')]


def test_calls_that_interleave_are_told_apart() -> None:
    got = collect(
        [
            start(),
            opening(0, type="tool_use", id="a", name="look", input={}),
            opening(1, type="tool_use", id="b", name="find", input={}),
            delta(1, "input_json_delta", partial_json='{"b":1}'),
            delta(0, "input_json_delta", partial_json='{"a":1}'),
            closing(1),
            closing(0),
            end("tool_use"),
        ]
    )
    assert got.calls == [("a", "look", '{"a":1}'), ("b", "find", '{"b":1}')]


def test_thinking_streams_and_its_signature_can_be_sent_back() -> None:
    got = collect(
        [
            start(),
            opening(0, type="thinking", thinking="", signature=""),
            delta(0, "thinking_delta", thinking="Let "),
            delta(0, "thinking_delta", thinking="me"),
            delta(0, "signature_delta", signature="S"),
            closing(0),
            opening(1, type="redacted_thinking", data="D"),
            closing(1),
            text(2, "yes"),
            end(),
        ]
    )
    assert got.joined("reasoning_content") == "Let me"
    details = got.listed("reasoning_details")
    assert [detail["index"] for detail in details] == [0, 1]
    assert thinking_blocks({"reasoning_details": details}, "at") == [
        {"type": "thinking", "thinking": "Let me", "signature": "S"},
        {"type": "redacted_thinking", "data": "D"},
    ]


def test_thinking_that_is_only_a_signature_can_be_sent_back() -> None:
    block = {"type": "thinking", "thinking": "", "signature": "S"}
    got = collect([start(), opening(0, **block), closing(0), text(1, "x"), end()])
    assert thinking_blocks({"reasoning_details": got.listed("reasoning_details")}, "at") == [block]


def test_unsigned_thinking_has_no_details() -> None:
    block = opening(0, type="thinking", thinking="hm") + closing(0)
    got = collect([start(), block, text(1, "x"), end()])
    assert got.joined("reasoning_content") == "hm"
    assert got.listed("reasoning_details") == []


def test_web_citations_are_annotations_before_the_finish() -> None:
    web = {"type": "web_search_result_location", "url": "https://x.example", "title": "X"}
    page = {"type": "page_location", "document_title": "D"}
    got = collect(
        [
            start(),
            text(0, "One. "),
            opening(1, type="text", text=""),
            delta(1, "citations_delta", citation=web),
            delta(1, "text_delta", text="Two."),
            delta(1, "citations_delta", citation=page),
            closing(1),
            end(),
        ]
    )
    cited = {"url": "https://x.example", "title": "X", "start_index": 5, "end_index": 9}
    assert got.deltas[-2] == {"annotations": [{"type": "url_citation", "url_citation": cited}]}
    assert got.finish == "stop"


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "stop"),
        ("something_new", "stop"),
    ],
)
def test_every_stop_reason_has_its_finish(reason: str, finish: str) -> None:
    got = collect([start(), text(0, "x"), end(reason)])
    assert got.finish == finish
    native = got.choices[-1].get("native_finish_reason")
    assert native == (None if reason in {"end_turn", "max_tokens"} else reason)


def test_a_matched_stop_sequence_is_told() -> None:
    got = collect([start(), text(0, "x"), end("stop_sequence", stop_sequence="END")])
    assert got.choices[-1]["stop_sequence"] == "END"


def test_a_refusal_is_a_content_filter_with_its_reason() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "Not that."}
    got = collect([start(), end("refusal", stop_details=details)])
    assert got.joined("refusal") == "Not that."
    assert got.finish == "content_filter"
    assert got.choices[-1]["stop_details"] == details


def test_a_message_that_stops_without_a_reason_is_finished_all_the_same() -> None:
    got = collect([start(), tool(0, "a", "look", "{}"), event("message_stop")])
    assert (got.finish, got.done) == ("tool_calls", True)
    late = collect([start(), text(0, "x"), end(None)])
    assert late.finish == "stop"


def test_the_finish_is_said_once() -> None:
    again = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 8})
    got = collect([start(), text(0, "x"), again, end()], include_usage=True)
    assert got.finish == "stop"
    assert got.raw[-1]["usage"]["completion_tokens"] == 5


def test_an_answer_tool_is_unwrapped_into_content() -> None:
    form = AnswerForm(json_tool="json_output")
    got = collect([start(), tool(0, "a", "json_output", '{"x":', "1}"), end("tool_use")], form=form)
    assert got.joined("content") == '{"x":1}'
    assert (got.calls, got.finish) == ([], "stop")
    empty = collect([start(), tool(0, "a", "json_output"), end("tool_use")], form=form)
    assert empty.joined("content") == "{}"


def test_a_callers_own_tool_beside_the_answer_tool_is_a_call() -> None:
    form = AnswerForm(json_tool="json_output_")
    got = collect([start(), tool(0, "a", "json_output", "{}"), end("tool_use")], form=form)
    assert (got.calls, got.finish) == ([("a", "json_output", "{}")], "tool_calls")


def test_a_caller_of_functions_gets_a_function_call() -> None:
    form = AnswerForm(functions=True)
    got = collect([start(), tool(0, "a", "look", '{"x"', ":1}"), end("tool_use")], form=form)
    calls = [delta["function_call"] for delta in got.deltas if "function_call" in delta]
    assert calls[0] == {"name": "look", "arguments": ""}
    assert "".join(call["arguments"] for call in calls) == '{"x":1}'
    assert got.finish == "function_call"


def test_events_and_blocks_that_are_not_known_yet_are_passed_over() -> None:
    got = collect(
        [
            start(),
            event("content_block_sparkle", index=0),
            opening(0, type="compaction", content="x"),
            delta(0, "compaction_delta", content="y"),
            delta(0, "text_delta", text="not in a text block"),
            delta(0, "thinking_delta", thinking="nor here"),
            closing(0),
            delta(9, "text_delta", text="never opened"),
            closing(9),
            opening(1, type="web_search_tool_result", tool_use_id="s", content=[]),
            closing(1),
            text(2, "x"),
            end(),
        ]
    )
    assert got.joined("content") == "x"
    assert got.finish == "stop"
