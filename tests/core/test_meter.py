"""What passes is read: content, finish, usage, errors; and nothing else is changed."""

import json
from typing import Any

import pytest

from gateway.core.errors import (
    StreamCut,
    UpstreamBroken,
    UpstreamBusy,
    UpstreamDenied,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
)
from gateway.core.meter import OpenAIMeter, StreamCodec
from gateway.core.reply import Block, Usage
from gateway.core.sse import DONE, EMPTY

USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 5,
    "total_tokens": 16,
    "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
READ = Usage(input=11, output=5, cached=4, reasoning=3)


def sse(data: Any, name: str = "") -> Block:
    text = data if isinstance(data, bytes) else json.dumps(data, separators=(",", ":")).encode()
    head = f"event: {name}\n".encode() if name else b""
    return Block(head + b"data: " + text + b"\n\n")


def chunk(delta: Any = None, finish: str | None = None, index: int = 0, **more: Any) -> Block:
    choice = {"index": index, "delta": delta or {}, "logprobs": None, "finish_reason": finish}
    return sse({"id": "c1", "object": "chat.completion.chunk", "choices": [choice], **more})


def primed_meter(hide_usage: bool = False) -> OpenAIMeter:
    meter = OpenAIMeter(hide_usage)
    meter.feed(chunk({"content": "hi"}))
    return meter


def is_clean(codec: StreamCodec) -> bool:
    return codec.tally.clean


def failure(codec: StreamCodec, block: bytes) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        codec.feed(Block(block))
    return caught.value


def test_the_usual_block_passes_as_the_same_object() -> None:
    block = chunk({"content": "hé"})
    assert OpenAIMeter(hide_usage=True).feed(block) is block


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "x"},
        {"tool_calls": [{"index": 0, "id": "a"}]},
        {"function_call": {"name": "f"}},
        {"refusal": "no"},
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"reasoning_details": [{"type": "reasoning.text"}]},
        {"audio": {"id": "a"}},
    ],
)
def test_content_of_any_kind_primes(delta: dict[str, Any]) -> None:
    meter = OpenAIMeter(hide_usage=False)
    meter.feed(chunk(delta))
    assert meter.primed


@pytest.mark.parametrize(
    "block",
    [
        chunk({"role": "assistant", "content": "", "refusal": None}),
        chunk({"role": "assistant", "content": None, "tool_calls": []}),
        sse({"choices": [], "prompt_filter_results": [{}]}),
        sse({"choices": [], "usage": USAGE}),
        sse({"choices": [{"index": 0, "text": "", "finish_reason": None}]}),
        Block(b": OPENROUTER PROCESSING\n\n"),
    ],
)
def test_a_preamble_does_not_prime(block: Block) -> None:
    meter = OpenAIMeter(hide_usage=False)
    assert meter.feed(block) == block
    assert not meter.primed


def test_a_finish_primes_and_legacy_text_does_too() -> None:
    meter = OpenAIMeter(hide_usage=False)
    meter.feed(chunk(finish="length"))
    assert (meter.primed, meter.tally.finish) == (True, "length")
    meter = OpenAIMeter(hide_usage=False)
    meter.feed(sse({"choices": [{"index": 0, "text": "x", "finish_reason": None}]}))
    assert meter.primed


@pytest.mark.parametrize("end", [DONE, sse(b"[DONE] "), sse(b"[DONE]", "done")])
def test_done_is_clean(end: Block) -> None:
    meter = primed_meter()
    assert not is_clean(meter)
    assert meter.feed(end) == end
    assert is_clean(meter)
    assert meter.finish() == EMPTY


def test_an_end_after_every_finish_reason_is_clean_without_done() -> None:
    meter = primed_meter()
    meter.feed(chunk({"content": "ho"}, index=1))
    meter.feed(chunk(finish="stop"))
    with pytest.raises(StreamCut) as caught:
        meter.finish()
    assert caught.value.code == "upstream_truncated"
    assert not is_clean(meter)
    meter.feed(chunk(finish="length", index=1))
    meter.feed(chunk({"content": ""}))
    assert meter.finish() == DONE
    assert is_clean(meter)


def test_an_end_without_finish_is_a_cut_and_before_content_worth_another_try() -> None:
    with pytest.raises(StreamCut):
        primed_meter().finish()
    with pytest.raises(UpstreamBroken) as caught:
        OpenAIMeter(hide_usage=False).finish()
    assert caught.value.code == "upstream_truncated"


def test_done_without_any_content_is_a_broken_answer() -> None:
    assert failure(OpenAIMeter(hide_usage=False), DONE).code == "bad_upstream"


@pytest.mark.parametrize(
    "garbage",
    [
        b"data: {\n\n",
        b"data: <html>\n\n",
        b"data: 7\n\n",
        b'data: {"choices":5}\n\n',
        b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n',
        b'data: {"x":"\xff\xfe"}\n\n',
        b": \xc3\n\n",
        b"data: " + b"[" * 100_000 + b"\n\n",
    ],
)
def test_garbage_is_an_error_and_never_passed(garbage: bytes) -> None:
    before = failure(OpenAIMeter(hide_usage=False), garbage)
    assert (type(before), before.code) == (UpstreamBroken, "bad_upstream")
    after = failure(primed_meter(), garbage)
    assert (type(after), after.code) == (StreamCut, "upstream_garbage")


def test_events_without_data_do_not_pass_and_comments_do() -> None:
    block = b": ping\n\nevent: ping\n\ndata:\n\n" + chunk({"content": "x"}) + b"\n"
    kept = b": ping\n\n" + chunk({"content": "x"})
    assert OpenAIMeter(hide_usage=False).feed(Block(block)) == kept


@pytest.mark.parametrize("hide", [False, True])
def test_a_usage_event_is_read_and_hidden_when_not_asked_for(hide: bool) -> None:
    meter = primed_meter(hide_usage=hide)
    event = sse({"choices": [], "usage": USAGE})
    assert meter.feed(event) == (EMPTY if hide else event)
    assert meter.tally.usage == READ


def test_null_usage_is_taken_out_and_nothing_else() -> None:
    meter = OpenAIMeter(hide_usage=True)
    told = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}],"usage":null,"x":1}\n\n'
    assert meter.feed(Block(told)) == told.replace(b',"usage":null', b"")
    spaced = b'data: {"usage": null, "choices": [ ], "n": 1.50}\n\n'
    assert meter.feed(Block(spaced)) == b'data: {"choices":[ ],"n":1.50}\n\n'
    twice = b'data: {"choices":[],"a":{"b":1,"usage":null},"usage":null}\n\n'
    assert meter.feed(Block(twice)) == b'data: {"choices":[],"a":{"b":1,"usage":null}}\n\n'


def test_usage_on_the_finish_chunk_is_taken_out_by_re_encoding_only_that_event() -> None:
    meter = primed_meter(hide_usage=True)
    first, last = chunk({"content": "x"}), chunk(finish="stop", usage=USAGE)
    assert meter.feed(Block(first + last)) == first + chunk(finish="stop")
    assert meter.tally.usage == READ


def test_text_that_looks_like_usage_stays() -> None:
    block = chunk({"content": ',"usage":null'})
    assert OpenAIMeter(hide_usage=True).feed(block) == block


def test_the_last_usage_that_says_something_wins() -> None:
    meter = primed_meter()
    for usage in (
        {"prompt_tokens": 11, "completion_tokens": 1},
        USAGE,
        {},
        {"prompt_tokens": -1, "completion_tokens": "9", "prompt_tokens_details": None},
        {"prompt_tokens": True, "completion_tokens": 10**30},
    ):
        meter.feed(chunk({"content": "x"}, usage=usage))
    meter.feed(chunk({"content": "x"}, usage=None))
    meter.feed(chunk({"content": "x"}, usage="lots"))
    assert meter.tally.usage == READ


def test_no_usage_stays_unknown() -> None:
    meter = primed_meter()
    meter.feed(chunk(finish="stop"))
    assert meter.tally.usage is None


ERRORS: list[tuple[Any, type[UpstreamError], int]] = [
    ({"type": "server_error", "message": "m", "code": None}, UpstreamBroken, 502),
    ({"code": 400, "message": "Token limit reached"}, UpstreamRefused, 400),
    ({"code": 429, "message": "slow"}, UpstreamBusy, 429),
    ({"code": "502", "message": "bad"}, UpstreamBroken, 502),
    ({"type": "tokens", "code": "rate_limit_exceeded"}, UpstreamBusy, 429),
    ({"type": "invalid_request_error", "code": "context_length_exceeded"}, UpstreamRefused, 400),
    ({"type": "invalid_request_error", "code": "invalid_api_key"}, UpstreamDenied, 502),
    ({"type": "overloaded_error", "message": "Overloaded"}, UpstreamBusy, 529),
    ({"type": "timeout_error"}, UpstreamTimeout, 504),
    ({"code": 200, "type": "mystery"}, UpstreamBroken, 502),
    ("just words", UpstreamBroken, 502),
]


@pytest.mark.parametrize(("error", "kind", "status"), ERRORS)
@pytest.mark.parametrize("name", ["", "error"])
def test_an_error_event_before_content_is_mapped(
    error: Any, kind: type[UpstreamError], status: int, name: str
) -> None:
    got = failure(OpenAIMeter(hide_usage=False), sse({"error": error, "choices": []}, name))
    assert (type(got), got.status) == (kind, status)


def test_a_refusal_keeps_the_providers_words_in_their_dialect() -> None:
    error = {"message": "too long", "type": "invalid_request_error", "code": None}
    got = failure(OpenAIMeter(hide_usage=False), sse({"error": error, "user_id": "u"}))
    assert isinstance(got, UpstreamRefused)
    assert (json.loads(got.body), got.dialect) == ({"error": error}, "openai")
    whole = {"type": "error", "error": {"type": "invalid_request_error", "message": "too long"}}
    got = failure(OpenAIMeter(hide_usage=False), sse(whole))
    assert isinstance(got, UpstreamRefused)
    assert (json.loads(got.body), got.dialect) == (whole, "anthropic")


def test_an_error_event_without_an_error_key_is_one_by_its_name() -> None:
    got = failure(OpenAIMeter(hide_usage=False), sse({"message": "slow", "code": 429}, "error"))
    assert isinstance(got, UpstreamBusy)


@pytest.mark.parametrize(("error", "kind", "status"), ERRORS)
def test_an_error_event_after_content_passes_as_the_provider_said_it(
    error: Any, kind: type[UpstreamError], status: int
) -> None:
    meter, said = primed_meter(), sse({"error": error})
    assert meter.feed(said) == said
    assert meter.tally.error == "upstream_error"
    assert meter.feed(DONE) == DONE
    assert meter.finish() == b""
    assert not meter.tally.clean


@pytest.mark.parametrize(
    ("delta", "tokens"),
    [
        ({"role": "assistant", "content": ""}, 0),
        ({}, 0),
        ({"content": "x" * 400}, 100),
        ({"reasoning_content": "x" * 40, "reasoning": "x" * 40}, 10),
        ({"refusal": "x" * 40}, 10),
        ({"tool_calls": [{"index": 0, "id": "c" * 99, "function": {"arguments": "x" * 400}}]}, 100),
        ({"function_call": {"name": "look", "arguments": "x" * 40}}, 11),
    ],
)
def test_what_passes_counts_by_what_the_model_has_written(delta: Any, tokens: int) -> None:
    meter = OpenAIMeter(hide_usage=False)
    meter.feed(chunk(delta))
    assert meter.tally.passed == tokens


def test_a_legacy_completion_counts_by_its_text() -> None:
    meter = OpenAIMeter(hide_usage=False)
    meter.feed(sse({"choices": [{"index": 0, "text": "x" * 40}]}))
    assert meter.tally.passed == 10
