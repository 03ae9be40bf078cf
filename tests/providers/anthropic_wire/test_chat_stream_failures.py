"""What becomes of Anthropic event streams that fail, break off or make no sense."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import GatewayError, StreamCut, UpstreamBroken, UpstreamBusy
from gateway.core.reply import Block
from tests.fakes.anthropic_events import codec, end, event, start, text


def test_an_error_before_content_says_whether_to_try_again() -> None:
    reader = codec()
    error = {"type": "overloaded_error", "message": "Overloaded"}
    with pytest.raises(UpstreamBusy) as caught:
        reader.feed(Block(start() + event("error", error=error)))
    assert caught.value.status == 529


def test_an_error_after_content_is_a_cut() -> None:
    reader = codec()
    reader.feed(Block(start() + text(0, "x")))
    with pytest.raises(StreamCut):
        reader.feed(Block(event("error", error={"type": "overloaded_error", "message": "m"})))


def test_an_end_without_message_stop_is_never_clean() -> None:
    reader = codec()
    with pytest.raises(UpstreamBroken):
        reader.finish()
    half = end()[: end().index(b"event: message_stop")]
    reader.feed(Block(start() + text(0, "x") + half))
    with pytest.raises(StreamCut):
        reader.finish()
    assert not reader.tally.clean


@pytest.mark.parametrize(
    "block",
    [
        b"data: {\n\n",
        b"data: []\n\n",
        b'data: {"type":[]}\n\n',
        b'data: {"type":"content_block_delta","index":0}\n\n' + text(0, "before the start"),
        end(),
    ],
)
def test_what_is_no_message_event_is_garbage(block: bytes) -> None:
    with pytest.raises(UpstreamBroken) as caught:
        codec().feed(Block(block))
    assert caught.value.code == "bad_upstream"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "text", "tool_use", "S"]),
    lambda below: (
        st.lists(below, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type", "text", "thinking", "signature", "data", "name", "id", "input", "index",
                    "partial_json", "citation", "citations", "url", "stop_reason", "stop_details",
                    "usage", "iterations", "input_tokens",
                ]
            ),
            below,
            max_size=3,
        )
    ),
)  # fmt: skip
_KINDS = st.sampled_from(
    [
        "message_start", "content_block_start", "content_block_delta", "content_block_stop",
        "message_delta", "message_stop", "ping", "error", "other",
    ]
)  # fmt: skip
_PARTS = st.sampled_from(["message", "content_block", "delta", "index", "usage", "error"])


@given(st.lists(st.tuples(_KINDS, st.dictionaries(_PARTS, _JSON, max_size=3)), max_size=6))
def test_no_event_of_any_shape_is_a_crash(parts: list[tuple[str, dict[str, Any]]]) -> None:
    reader = codec()
    reader.feed(Block(start()))
    try:
        for kind, fields in parts:
            for line in reader.feed(Block(event(kind, **fields))).split(b"\n\n"):
                if line.startswith(b"data: {"):
                    json.loads(line[6:])
    except GatewayError as error:
        assert error.fault == "upstream"  # noqa: PT017 - any other exception is the failure
