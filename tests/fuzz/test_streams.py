"""D18: an upstream's stream cut anywhere, and changed anywhere."""

import contextlib
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import UpstreamError
from gateway.core.meter import AnthropicMeter, OpenAIMeter, StreamCodec
from gateway.core.sse import EventTooLong, Framer
from gateway.providers.anthropic_wire.chat_stream import MessageEventsToChat
from gateway.providers.anthropic_wire.messages_stream import ChatEventsToMessage
from tests.fakes import answers
from tests.fakes.mutations import cut, mutated

CALLS = [("call_1", "look", {"city": "Zürich"}), ("call_2", "book", {"n": [1, {}]})]
TOKENS = (
    *(b"\n", b"\r", b"\r\n", b"\n\n", b"data: ", b"data:", b"event: ", b": x\n\n", b"id: 1\n"),
    *(b'"', b"{", b"}", b"[", b"]", b",", b":", b"null", b"-1", b"1e999", b"\\ud800", b"\xff"),
    *(b"data: [DONE]\n\n", b'data: {"error":{"message":"x"}}\n\n', b"event: error\n", b'"index":9'),
    *(b'"type":"message_stop"', b'"finish_reason":"stop"', b'"tool_calls":[]', b'"content":7'),
)
CODECS: dict[str, tuple[str, Callable[[], StreamCodec]]] = {
    "openai": ("openai", lambda: OpenAIMeter(hide_usage=False)),
    "openai, usage hidden": ("openai", lambda: OpenAIMeter(hide_usage=True)),
    "anthropic": ("anthropic", AnthropicMeter),
    "openai to anthropic": ("openai", lambda: ChatEventsToMessage(model="ours")),
    "anthropic to openai": (
        "anthropic",
        lambda: MessageEventsToChat(include_usage=True, model="ours", created=7),
    ),
}
BORDERS = st.lists(st.integers(0, 1 << 16), max_size=12)


def valid(dialect: str) -> st.SearchStrategy[bytes]:
    texts = st.lists(st.text(max_size=6), max_size=4)
    calls = st.sampled_from([[], CALLS[:1], CALLS])
    return st.builds(lambda t, c: b"".join(answers.events(dialect, t, c)), texts, calls)


def run(codec: StreamCodec, chunks: Sequence[bytes]) -> bytes:
    framer = Framer()
    out = b"".join(codec.feed(framer.feed(chunk)) for chunk in chunks)
    return out + codec.feed(framer.finish()) + codec.finish()


@pytest.mark.parametrize("name", CODECS)
@given(st.data(), BORDERS)
def test_wherever_a_stream_is_cut_it_says_the_same(
    name: str, data: st.DataObject, borders: list[int]
) -> None:
    dialect, make = CODECS[name]
    stream = data.draw(valid(dialect))
    whole, pieces = make(), make()
    try:
        expected = run(whole, [stream])
    except UpstreamError as error:
        with pytest.raises(type(error)):
            run(pieces, cut(stream, borders))
        return
    assert run(pieces, cut(stream, borders)) == expected
    assert pieces.tally.usage == whole.tally.usage
    assert pieces.tally.finish == whole.tally.finish
    assert pieces.tally.clean


@pytest.mark.parametrize("name", CODECS)
@given(st.data(), BORDERS)
def test_whatever_a_stream_says_it_is_read_or_refused(
    name: str, data: st.DataObject, borders: list[int]
) -> None:
    dialect, make = CODECS[name]
    stream = data.draw(mutated(valid(dialect), TOKENS) | mutated(st.just(b""), TOKENS, 12))
    with contextlib.suppress(UpstreamError, EventTooLong):
        assert run(make(), cut(stream, borders)).endswith((b"\n\n", b""))
