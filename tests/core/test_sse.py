"""Any chunking of a stream gives the same whole events."""

import re
from collections.abc import Sequence
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.sse import (
    DONE,
    EMPTY,
    MAX_EVENT,
    Event,
    EventTooLong,
    Framer,
    comment,
    encode_event,
    events,
    read_event,
    split_events,
)
from tests.fakes.mutations import cut

LINES = st.one_of(
    st.text(alphabet=st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=12).map(
        lambda text: f"data: {text}"
    ),
    st.sampled_from(
        [": ping", "event: delta", "id: 7", "retry: 10", "data", "data:", "unknown: x", "data:é☃😀"]
    ),
)
EVENTS = st.lists(st.lists(LINES, min_size=1, max_size=4), max_size=6)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


def encode(stream: Sequence[Sequence[str]], ends: Sequence[str]) -> bytes:
    choice = cycle(ends)
    return "".join(
        "".join(line + next(choice) for line in event) + next(choice) for event in stream
    ).encode()


def run(chunks: Sequence[bytes]) -> list[bytes]:
    framer = Framer()
    blocks = [framer.feed(chunk) for chunk in chunks]
    return [block for block in [*blocks, framer.finish()] if block]


def meaning(blocks: Sequence[bytes]) -> list[tuple[str, bytes]]:
    return [(event.name, event.data) for block in blocks for event in events(block)]


def plain_reading(data: bytes) -> list[tuple[str, bytes]]:
    """The specification's algorithm, told line by line over the whole text."""
    found: list[tuple[str, bytes]] = []
    name, lines = "", list[str]()
    text = data.decode().removeprefix("\ufeff")
    for line in re.split("\r\n|\n|\r", text):
        if not line:
            if lines:
                found.append((name, "\n".join(lines).encode()))
            name, lines = "", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            lines.append(value)
        elif field == "event":
            name = value
    return found


@given(EVENTS, st.lists(ENDS, min_size=1, max_size=7), st.lists(st.integers(0, 10_000)))
def test_every_chunking_gives_the_events_of_the_specification(
    stream: list[list[str]], ends: list[str], borders: list[int]
) -> None:
    data = encode(stream, ends)
    expected = plain_reading(data)
    assert meaning(run(cut(data, borders))) == expected
    assert meaning(run([data[i : i + 1] for i in range(len(data))])) == expected


@given(EVENTS, st.lists(st.integers(0, 10_000)), st.booleans())
def test_blocks_are_whole_events_and_lose_no_byte(
    stream: list[list[str]], borders: list[int], marked: bool
) -> None:
    data = encode(stream, ["\n"])
    blocks = run(cut((b"\xef\xbb\xbf" if marked else b"") + data, borders))
    assert b"".join(blocks) == data
    assert all(block.endswith(b"\n\n") for block in blocks)
    assert all(b"".join(split_events(block)) == block for block in blocks)


@given(EVENTS, st.lists(st.integers(0, 10_000)))
def test_an_event_leaves_with_its_last_byte(stream: list[list[str]], borders: list[int]) -> None:
    framer, taken, given_out = Framer(), b"", b""
    for chunk in cut(encode(stream, ["\n"]), borders):
        taken += chunk
        given_out += framer.feed(chunk)
        assert given_out == taken[: taken.rfind(b"\n\n") + 2 if b"\n\n" in taken else 0]


def test_an_aligned_chunk_passes_as_the_same_object() -> None:
    framer = Framer()
    framer.feed(b"data: 0\n\n")
    chunk = b'data: {"a":1}\n\ndata: {"b":2}\n\n'
    assert framer.feed(chunk) is chunk


@pytest.mark.parametrize(
    "chunks",
    [
        [b"data: x\r", b"\n", b"\r", b"\n", b"data: y\r\n\r\n"],
        [b"data: x\r", b"\n\r", b"\ndata: y\r\n\r\n"],
        [b"data: x\r", b"", b"\n", b"\n", b"data: y\n\n"],
        [b"data: x\r\r", b"data: y\r\r"],
        [b"data: x\n", b"\rdata: y\n\n"],
    ],
)
def test_a_line_end_cut_in_two_is_still_one(chunks: list[bytes]) -> None:
    assert meaning(run(chunks)) == [("", b"x"), ("", b"y")]


def test_a_mark_of_byte_order_is_dropped_even_in_pieces() -> None:
    assert run([b"\xef", b"\xbb", b"\xbfdata: x\n\n"]) == [b"data: x\n\n"]
    assert run([b"\xef", b"\xbb"]) == [b"\xef\xbb\n\n"]
    assert run([b"", b"data: x\n\n"]) == [b"data: x\n\n"]


def test_an_event_without_its_blank_line_is_completed_at_the_end() -> None:
    assert run([b"data: x\n\nda", b"ta: y"]) == [b"data: x\n\n", b"data: y\n\n"]
    assert run([b"data: y\n"]) == [b"data: y\n\n"]
    assert run([b"data: y\n\n", b"\n"]) == [b"data: y\n\n"]


def test_an_endless_line_is_refused_at_one_mebibyte() -> None:
    framer = Framer()
    for _ in range(MAX_EVENT // 65536):
        assert framer.feed(b"x" * 65536) == EMPTY
    with pytest.raises(EventTooLong):
        framer.feed(b"x")


class CountingBytes(bytearray):
    """A buffer that counts how many bytes it is asked to search."""

    searched = 0

    def rfind(self, sub: bytes, start: int = 0) -> int:  # type: ignore[override]
        self.searched += len(self) - start
        return super().rfind(sub, start)


def test_a_long_event_in_single_bytes_is_read_in_linear_time() -> None:
    framer = Framer()
    framer.feed(b"data: ")
    counting = CountingBytes(framer._held)
    framer._held = counting
    size = 1 << 17
    for _ in range(size):
        assert framer.feed(b"x") == EMPTY
    block = framer.feed(b"\n\n")
    assert len(block) == size + 8
    assert counting.searched < 4 * size


def test_events_are_read_with_their_name_and_joined_data() -> None:
    block = b": hi\n\nevent: a\ndata: 1\ndata:2\nid: 3\n\nevent: b\ndata: {}\n\nevent: ping\n\n"
    assert list(events(block)) == [
        Event("a", b"1\n2", b"event: a\ndata: 1\ndata:2\nid: 3\n\n"),
        Event("b", b"{}", b"event: b\ndata: {}\n\n"),
    ]


def test_what_has_no_data_line_is_no_event() -> None:
    assert read_event(b": comment\n\n") is None
    assert read_event(b"event: ping\n\n") is None
    assert read_event(b"\n\n") is None
    assert read_event(b"data\n\n") == Event("", b"", b"data\n\n")


def test_our_own_events_are_read_back() -> None:
    assert list(events(encode_event(b"{}", "ping"))) == [
        Event("ping", b"{}", b"event: ping\ndata: {}\n\n")
    ]
    assert list(events(DONE)) == [Event("", b"[DONE]", b"data: [DONE]\n\n")]
    assert comment("keep-alive") == b": keep-alive\n\n"
    assert list(events(comment("keep-alive"))) == []
