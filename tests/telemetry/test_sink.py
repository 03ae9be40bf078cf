import fcntl
import os
import threading
from collections.abc import Iterator

import pytest

from gateway.telemetry.sink import Sink


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for fd in (reader, writer):
        try:
            os.close(fd)
        except OSError:  # the test closed it
            continue


def read_all(fd: int) -> bytes:
    data = b""
    while part := os.read(fd, 1 << 16):
        data += part
    return data


def test_lines_come_out_whole_and_in_order(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    sink = Sink(writer)
    lines = [b"line %d\n" % number for number in range(2_000)]
    for line in lines:
        sink.put(line)
    sink.close(10)
    os.close(writer)
    assert read_all(reader) == b"".join(lines)
    assert sink.lost == 0


def test_a_stuck_reader_never_stops_the_writer_and_the_newest_lines_survive(
    pipe: tuple[int, int],
) -> None:
    reader, writer = pipe
    sink = Sink(writer, size=10)
    big = b"x" * (1 << 20) + b"\n"
    sink.put(big)  # more than the pipe holds: the thread is stuck in its write
    assert os.read(reader, 1) == b"x"
    for number in range(100):
        sink.put(b"line %d\n" % number)
    assert sink.lost == 90
    text: list[bytes] = []
    drain = threading.Thread(target=lambda: text.append(read_all(reader)))
    drain.start()
    sink.close(10)
    os.close(writer)
    drain.join()
    assert text[0].splitlines()[1:] == [b"line %d" % number for number in range(90, 100)]


def test_closing_a_stuck_sink_does_not_wait_beyond_its_patience(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    sink = Sink(writer)
    sink.put(b"x" * (1 << 20))
    sink.close(0.05)
    os.close(reader)  # the thread's write fails and it ends
    sink.close(10)
    assert sink.lost == 1


def test_a_non_blocking_output_is_waited_for(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    fcntl.fcntl(writer, fcntl.F_SETFL, os.O_NONBLOCK)
    sink = Sink(writer)
    sink.put(b"x" * (1 << 20) + b"\n")
    text: list[bytes] = []
    drain = threading.Thread(target=lambda: text.append(read_all(reader)))
    drain.start()
    sink.close(10)
    os.close(writer)
    drain.join()
    assert len(text[0]) == (1 << 20) + 1


def test_a_reader_that_is_gone_is_no_error(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.close(reader)
    sink = Sink(writer)
    sink.put(b"nobody reads this\n")
    sink.close(10)
    assert sink.lost == 1
