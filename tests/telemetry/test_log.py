import asyncio
import logging
import os
import tempfile
import threading
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from gateway.core import wire
from gateway.core.secret import Secret
from gateway.telemetry.fold import WideEvent
from gateway.telemetry.log import BURST, REMEMBERED, WINDOW, Log, open_log
from gateway.telemetry.sink import QUEUE
from tests.fakes.clock import FakeClock
from tests.telemetry.outcomes import make_outcome, wide_event

CANARY = "canary/value+of a=provider-key"
Work = Callable[[Log, FakeClock], None]


def recorded(work: Work, *, is_terminal: bool = False) -> str:
    """Do the work with an open log and return what was written once it is closed."""
    clock = FakeClock()
    secrets = [Secret(CANARY, "env:K"), Secret(None, "env:NOWHERE")]
    with tempfile.TemporaryFile() as file:
        fd = file.fileno()
        with open_log(fd, clock=clock, is_terminal=is_terminal, secrets=secrets) as log:
            work(log, clock)
        return os.pread(fd, 1 << 24, 0).decode()


def events(work: Work) -> list[dict[str, Any]]:
    return [wire.decode(line) for line in recorded(work).splitlines()]


def failure(error: Exception) -> Exception:
    """Return the error with a traceback, as one that was raised has."""
    try:
        raise error
    except type(error) as raised:
        return raised


def wide(**changes: Any) -> WideEvent:
    return wide_event(make_outcome(**changes), 1_763_700_000.0, {"gpt"})


def test_a_request_is_one_json_line_with_every_field_of_the_fold() -> None:
    (event,) = events(lambda log, _: log.request(wide()))
    assert event["event"] == "request"
    assert event.items() >= wire.decode(wire.encode(wide())).items()


def test_what_a_provider_said_is_redacted_in_the_wide_event() -> None:
    shown = [CANARY, quote(CANARY, safe=""), b64encode(b"Bearer " + CANARY.encode()).decode()]

    def work(log: Log, _clock: FakeClock) -> None:
        for secret in shown:
            log.request(wide(detail=f"refused: {secret}", upstream_id=secret))

    text = recorded(work)
    assert text.count("***") == 6
    assert "provider-key" not in text
    assert b64encode(CANARY.encode()).decode()[4:20] not in text


def test_no_secret_survives_in_exceptions_fields_or_tracebacks() -> None:
    def work(log: Log, _clock: FakeClock) -> None:
        log.register("registered-later-0001")
        error = failure(ValueError(f"no {CANARY} and sk-abcdefgh12345678"))
        log.error("a task failed", error=error, key=Secret("x" * 20, "env:X"))
        log.warning("odd", header={"authorization": "Bearer registered-later-0001"})

    text = recorded(work)
    assert "provider-key" not in text
    assert "12345678" not in text
    assert "registered-later" not in text
    assert "x" * 20 not in text
    failed, odd = map(wire.decode, text.splitlines())
    assert failed["error"] == "ValueError: no *** and sk-***"
    assert "test_log.py" in failed["trace"]
    assert (failed["level"], odd["level"]) == ("error", "warning")


def test_process_events_are_stamped_and_level_headed() -> None:
    (event,) = events(lambda log, _: log.info("listening", port=8080))
    assert event == {
        "ts": "2023-11-14T22:30:00.000+00:00",
        "event": "listening",
        "port": 8080,
        "level": "info",
    }


def test_one_can_ask_how_text_would_be_shown() -> None:
    shown: list[str] = []
    recorded(lambda log, _: shown.append(log.redact(f"a {CANARY}")))
    assert shown == ["a ***"]


def test_a_terminal_gets_lines_for_people() -> None:
    text = recorded(lambda log, _: log.request(wide()), is_terminal=True)
    assert "gpt via -" in text
    assert not text.startswith("{")


def test_what_libraries_log_goes_the_same_way() -> None:
    def work(_log: Log, _clock: FakeClock) -> None:
        logging.getLogger("asyncio").error("socket of %s failed", CANARY)
        logging.getLogger("aiohttp.access").info("not wanted")
        error = failure(OSError("it broke"))
        logging.getLogger("aiohttp.server").warning("odd", exc_info=error)

    asyncio_line, server_line = events(work)
    assert asyncio_line["event"] == "socket of *** failed"
    assert (asyncio_line["logger"], asyncio_line["level"]) == ("asyncio", "error")
    assert server_line["error"] == "OSError: it broke"


def test_a_library_that_repeats_itself_is_cut_short_and_heard_again_later() -> None:
    def storm(_log: Log, clock: FakeClock) -> None:
        logger = logging.getLogger("asyncio")
        for _ in range(1_000):
            logger.error("accept failed: %s", "EMFILE")
        logger.error("another")
        clock.now += WINDOW + 1
        logger.error("accept failed: %s", "EMFILE")

    told = [event["event"] for event in events(storm)]
    assert told == ["accept failed: EMFILE"] * BURST + ["another", "accept failed: EMFILE"]


def test_a_library_with_ever_new_messages_does_not_fill_memory() -> None:
    def work(_log: Log, _clock: FakeClock) -> None:
        for number in range(REMEMBERED + 10):
            logging.getLogger("asyncio").error(f"message {number}")  # noqa: G004 - the point here
        (handler,) = logging.getLogger().handlers
        assert len(handler._seen) <= REMEMBERED  # type: ignore[attr-defined]  # a private type

    assert len(events(work)) == REMEMBERED + 10


def test_logging_is_as_before_once_the_log_is_closed() -> None:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    recorded(lambda _log, _clock: None)
    assert (root.handlers[:], root.level) == before


async def write_requests(log: Log, count: int) -> None:
    for _ in range(count):
        log.request(wide())
        await asyncio.sleep(0)


def test_a_blocked_output_never_blocks_the_loop_and_losses_are_told() -> None:
    reader, writer = os.pipe()
    text: list[bytes] = []

    def read() -> None:
        while part := os.read(reader, 1 << 16):
            text.append(part)

    reading = threading.Thread(target=read, daemon=True)
    with open_log(writer, clock=FakeClock(), is_terminal=False) as log:
        asyncio.run(write_requests(log, 2 * QUEUE))
        reading.start()
        while log._sink.full:
            continue
        log.request(wide())
    os.close(writer)
    reading.join(10)
    os.close(reader)
    lines = [wire.decode(line) for line in b"".join(text).splitlines()]
    requests = sum(line["event"] == "request" for line in lines)
    # A slow machine may lose lines in two bursts, and tell each.
    lost = sum(line["count"] for line in lines if line["event"].startswith("log lines were lost"))
    assert lost >= QUEUE // 2
    assert requests + lost == 2 * QUEUE + 1
