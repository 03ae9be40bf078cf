"""The log: one wide event a request, and rare events of the process. The door to structlog."""

import logging
import traceback
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from gateway.core import wire
from gateway.core.ports import Clock
from gateway.core.secret import Secret
from gateway.telemetry.fold import WideEvent
from gateway.telemetry.pretty import pretty
from gateway.telemetry.redact import Redactor
from gateway.telemetry.sink import Sink

FLUSH: Final = 2.0
"""Seconds that a stuck output may delay the end of the process."""
BURST: Final = 5
WINDOW: Final = 10.0
"""A library may repeat one message BURST times in WINDOW seconds; the rest is only counted."""

REMEMBERED: Final = 1_000

Event = MutableMapping[str, Any]
Render = Callable[[Event | WideEvent], bytes]
Nothing = dict[str, Any]


class Log:
    """Writes events. Every call returns at once, whatever becomes of the output."""

    def __init__(self, sink: Sink, clock: Clock, render: Render) -> None:
        self._sink = sink
        self._clock = clock
        self._redactor = Redactor()
        self._told_lost = 0
        self._render = render
        self._events = _logger(
            sink, [structlog.processors.add_log_level, self._stamp, _last(render)]
        )

    def register(self, secret: Secret | str) -> None:
        """Never show this value, in whatever encoding it comes."""
        self._redactor.register(secret)

    def redact(self, text: str) -> str:
        """Return the text as this log would show it."""
        return self._redactor.text(text)

    def masked(self, value: object, rest: Callable[[], object]) -> object:
        """Return a JSON value without secrets, all of it; safe from every thread.

        `rest` is called now and then, for a thread that must not keep others from running.
        """
        return self._redactor.masked(value, rest)

    def request(self, event: WideEvent) -> None:
        """Write the wide event of a request, as `fold` made it. The event is ours afterwards."""
        # Not through structlog: it would copy these 40 fields three times, a third of the cost.
        if event.asked:
            event.asked = self._redactor.text(event.asked)
        if event.detail:
            event.detail = self._redactor.text(event.detail)
        if event.upstream_id:
            event.upstream_id = self._redactor.text(event.upstream_id)
        self._sink.put(self._render(event))
        if self._sink.lost != self._told_lost and not self._sink.full:
            self._tell_lost()

    def info(self, event: str, **fields: object) -> None:
        """Write an event of the process. An exception among the fields brings its traceback."""
        self._events.info(event, **fields)

    def warning(self, event: str, **fields: object) -> None:
        """Write what an operator should look at some time."""
        self._events.warning(event, **fields)

    def error(self, event: str, **fields: object) -> None:
        """Write what an operator should look at now."""
        self._events.error(event, **fields)

    def _tell_lost(self) -> None:
        lost = self._sink.lost
        count, self._told_lost = lost - self._told_lost, lost
        self._events.warning("log lines were lost: the output was stuck", count=count)

    def _stamp(self, _logger: object, _method: str, event: Event) -> Event:
        moment = datetime.fromtimestamp(self._clock.wall(), UTC)
        stamped: Event = {"ts": moment.isoformat(timespec="milliseconds")}
        for name, value in event.items():
            stamped[name] = self._redactor.value(value)
            if isinstance(value, BaseException):
                stamped[name] = self._redactor.text(f"{type(value).__name__}: {value}")
                stamped["trace"] = self._redactor.text("".join(traceback.format_exception(value)))
        return stamped


class _Lines:
    """What structlog calls a logger: it receives rendered lines."""

    def __init__(self, sink: Sink) -> None:
        self.info = self.warning = self.error = sink.put


def _logger(sink: Sink, processors: list[Processor]) -> FilteringBoundLogger:
    wrapped = structlog.wrap_logger(
        _Lines(sink),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        context_class=dict,
    )
    # Bound once: the lazy proxy would build a logger for every line.
    bound: FilteringBoundLogger = wrapped.bind()
    return bound


def _last(render: Render) -> Processor:
    def processor(_logger: object, _method: str, event: Event) -> tuple[tuple[bytes], Nothing]:
        return (render(event),), {}

    return processor


def as_json(event: Event | WideEvent) -> bytes:
    """Return the event as one line of JSON."""
    return wire.encode(event) + b"\n"


class _Libraries(logging.Handler):
    """Brings what libraries log (asyncio, aiohttp) into the same log, and tames repetition."""

    def __init__(self, log: Log, clock: Clock) -> None:
        super().__init__(logging.WARNING)
        self._log = log
        self._clock = clock
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        key = (record.name, str(record.msg)[:200])
        now = self._clock.monotonic()
        since, count = self._seen.get(key, (now, 0))
        if now - since > WINDOW:
            since, count = now, 0
        if len(self._seen) >= REMEMBERED:
            self._seen.clear()
        self._seen[key] = (since, count + 1)
        if count >= BURST:
            return
        fields: dict[str, object] = {"logger": record.name}
        if record.exc_info and record.exc_info[1]:
            fields["error"] = record.exc_info[1]
        write = self._log.error if record.levelno >= logging.ERROR else self._log.warning
        write(record.getMessage(), **fields)


@contextmanager
def open_log(
    fd: int, *, clock: Clock, is_terminal: bool, secrets: Iterable[Secret | str] = ()
) -> Iterator[Log]:
    """Yield a log that writes to `fd`, pretty on a terminal, else JSON lines.

    Libraries' warnings go there too until the end, when what is queued is written out.
    """
    sink = Sink(fd)
    log = Log(sink, clock, pretty if is_terminal else as_json)
    for secret in secrets:
        log.register(secret)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = [_Libraries(log, clock)]
    root.setLevel(logging.WARNING)
    try:
        yield log
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        sink.close(FLUSH)
