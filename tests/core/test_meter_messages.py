"""An Anthropic stream passes untouched; its content, stop, usage and errors are read."""

from typing import Any

import pytest

from gateway.core.errors import StreamCut, UpstreamBroken, UpstreamBusy
from gateway.core.meter import AnthropicMeter
from gateway.core.reply import Block, Usage
from gateway.core.sse import EMPTY
from tests.core.test_meter import failure, is_clean, sse


def event(kind: str, **more: Any) -> Block:
    return sse({"type": kind, **more}, kind)


START = event(
    "message_start",
    message={
        "id": "m1",
        "usage": {
            "input_tokens": 5,
            "cache_creation_input_tokens": 20,
            "cache_read_input_tokens": 100,
            "output_tokens": 1,
        },
    },
)
TEXT = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "hé"})
LAST = event(
    "message_delta",
    delta={"stop_reason": "end_turn", "stop_sequence": None},
    usage={
        "input_tokens": None,
        "output_tokens": 42,
        "cache_read_input_tokens": -3,
        "output_tokens_details": {"thinking_tokens": 30},
    },
)
STOP = event("message_stop")


def test_a_message_stream_passes_untouched_and_is_read() -> None:
    meter = AnthropicMeter()
    preamble = START + event("ping") + event("content_block_start", content_block={"type": "text"})
    assert meter.feed(Block(preamble)) == preamble
    before = meter.primed
    assert meter.feed(TEXT) is TEXT
    assert (before, meter.primed) == (False, True)
    assert meter.feed(LAST) is LAST
    assert (meter.tally.finish, meter.tally.clean) == ("end_turn", False)
    assert meter.feed(STOP) is STOP
    assert meter.finish() == EMPTY
    assert is_clean(meter)
    assert meter.tally.usage == Usage(125, 42, 100, 20, 30)


@pytest.mark.parametrize(
    ("block", "primes"),
    [
        (event("content_block_start", content_block={"type": "tool_use", "id": "t"}), True),
        (event("content_block_start", content_block={"type": "redacted_thinking"}), True),
        (event("content_block_start", content_block={"type": "thinking"}), False),
        (event("content_block_start"), False),
        (event("message_delta", delta={"stop_reason": "refusal"}), True),
        (event("message_delta", delta={"stop_reason": None}, usage=[]), False),
        (event("message_start"), False),
        (event("message_start", message={"usage": None}), False),
        (STOP, True),
        (event("something_new", delta={"type": "x"}), False),
        (Block(b": comment\n\n"), False),
    ],
)
def test_what_primes_a_message_stream(block: Block, primes: bool) -> None:
    meter = AnthropicMeter()
    meter.feed(block)
    assert meter.primed is primes


def test_iterations_are_summed_without_the_advisors_share() -> None:
    meter = AnthropicMeter()
    steps = [
        {"type": "message", "input_tokens": 10, "output_tokens": 3},
        {"type": "advisor_message", "input_tokens": 500, "output_tokens": 90},
        {"type": "compaction", "input_tokens": 7, "output_tokens": 2},
    ]
    meter.feed(event("message_delta", usage={"input_tokens": 1, "iterations": steps}))
    assert meter.tally.usage == Usage(input=17, output=5)


def test_a_message_stream_without_message_stop_is_a_cut() -> None:
    meter = AnthropicMeter()
    with pytest.raises(UpstreamBroken):
        meter.finish()
    meter.feed(TEXT)
    meter.feed(LAST)
    with pytest.raises(StreamCut) as caught:
        meter.finish()
    assert caught.value.code == "upstream_truncated"


def test_message_garbage_is_an_error_and_never_passed() -> None:
    for garbage in (b"data: []\n\n", b'data: {"type":"\xff"}\n\n'):
        assert failure(AnthropicMeter(), garbage).code == "bad_upstream"
        meter = AnthropicMeter()
        meter.feed(TEXT)
        assert failure(meter, garbage).code == "upstream_garbage"


def test_message_errors_are_mapped_before_content_and_passed_after_it() -> None:
    overloaded = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    got = failure(AnthropicMeter(), overloaded)
    assert isinstance(got, UpstreamBusy)
    assert (got.status, got.dialect) == (529, "anthropic")
    meter = AnthropicMeter()
    meter.feed(TEXT)
    assert meter.feed(overloaded) == overloaded
    assert meter.tally.error == "upstream_error"
    assert meter.finish() == b""
    assert not meter.tally.clean


def test_message_events_without_data_are_left_out() -> None:
    meter = AnthropicMeter()
    assert meter.feed(Block(b": note\n\nevent: ping\n\nevent: x\ndata:\n\n" + TEXT)) == (
        b": note\n\n" + TEXT
    )


def test_an_event_without_its_name_is_given_it() -> None:
    nameless = Block(b'data: {"type":"ping"}\n\n')
    assert AnthropicMeter().feed(nameless) == b'event: ping\ndata: {"type":"ping"}\n\n'
    odd = Block(b'data: {"type":"a\\nb"}\n\n')
    assert AnthropicMeter().feed(odd).startswith(b"event: message\n")


@pytest.mark.parametrize(
    "delta",
    [
        {"type": "text_delta", "text": "12345678"},
        {"type": "thinking_delta", "thinking": "12345678"},
        {"type": "input_json_delta", "partial_json": "12345678"},
    ],
)
def test_what_passes_counts_by_its_text_and_not_by_the_event_around_it(delta: Any) -> None:
    meter = AnthropicMeter()
    meter.feed(START)
    for _ in range(10):
        meter.feed(event("content_block_delta", index=10, delta=delta))
    meter.feed(event("content_block_delta", index=10, delta={"type": "signature_delta", "x": "y"}))
    assert meter.tally.passed == 20
