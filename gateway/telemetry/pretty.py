"""Log lines for people at a terminal. Nothing that came from outside can move the cursor."""

from collections.abc import Mapping
from typing import Final

from gateway.core import wire

_DIM, _RED, _YELLOW, _GREEN, _PLAIN = "\033[2m", "\033[31m", "\033[33m", "\033[32m", "\033[0m"
_LEVELS: Final = {"info": _DIM, "warning": _YELLOW, "error": _RED, "critical": _RED}
_CLIENT_ERROR, _SERVER_ERROR = 400, 500


def pretty(event: Mapping[str, object]) -> bytes:
    """Return one line: a request in the order people read it, anything else as name=value."""
    return (_request(event) if event.get("event") == "request" else _other(event)).encode()


def _request(event: Mapping[str, object]) -> str:
    status = event["status"]
    colour = _GREEN
    if isinstance(status, int) and status >= _CLIENT_ERROR:
        colour = _RED if status >= _SERVER_ERROR else _YELLOW
    words = [
        f"{_DIM}{_time(event)}{_PLAIN} {colour}{status}{_PLAIN}",
        _safe(event["endpoint"]),
        f"{_safe(event['model'])} via {_safe(event['answered_by'] or event.get('cache') or '-')}",
        f"{event['duration_ms']} ms ({event['overhead_ms']} ours)",
    ]
    if event["stream"] and event["ttft_ms"] is not None:
        words.append(f"first byte {event['ttft_ms']} ms, stream {event['stream_end'] or '-'}")
    if event["tokens_in"] is not None:
        words.append(f"{event['tokens_in']} -> {event['tokens_out']} tokens")
    if event["cost_usd"] is not None:
        words.append(f"${event['cost_usd']:.6f}")
    if event["code"]:
        words.append(f"{colour}{_safe(event['code'])}{_PLAIN} {_safe(event['detail'])}".rstrip())
    words.append(f"{_DIM}{_safe(event['request_id'])}{_PLAIN}")
    return "  ".join(words) + "\n"


def _other(event: Mapping[str, object]) -> str:
    rest = " ".join(
        f"{_safe(name)}={_safe(value)}"
        for name, value in event.items()
        if name not in {"ts", "level", "event", "trace"}
    )
    level = str(event.get("level", "info"))
    colour = _LEVELS.get(level, _PLAIN)
    line = f"{_DIM}{_time(event)}{_PLAIN} {colour}{level}{_PLAIN}  {_safe(event['event'])}  {rest}"
    trace = "".join(f"    {_safe(text)}\n" for text in str(event.get("trace", "")).splitlines())
    return f"{line.rstrip()}\n{trace}"


def _time(event: Mapping[str, object]) -> str:
    return str(event.get("ts", ""))[11:19]


def _safe(value: object) -> str:
    """Return printable text: control, bidirectional and other odd characters are escaped."""
    text = value if isinstance(value, str) else wire.encode(value).decode()
    return text if text.isprintable() else ascii(text)
