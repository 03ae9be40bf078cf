"""How limits stand, in the header names that each dialect's clients know."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from gateway.core.chat import Dialect
from gateway.core.notes import Family, Limited
from gateway.core.state import LimitStatus

_HOUR: Final = 3600


def limit_lines(limited: Sequence[Limited], dialect: Dialect, wall: float) -> str:
    """Return the header lines for the tightest limit of each family. `wall` is epoch seconds."""
    tightest: dict[Family, LimitStatus] = {}
    for note in limited:
        for family, status in zip(note.families, note.limits, strict=True):
            if family and (family not in tightest or _tighter(status, tightest[family])):
                tightest[family] = status
    if not tightest:
        return ""
    if dialect == "anthropic":
        return "".join([_anthropic(name, status, wall) for name, status in tightest.items()])
    requests = tightest.pop("requests", None)
    lines = "" if requests is None else _openai("requests", requests)
    tokens: LimitStatus | None = None
    for status in tightest.values():
        if tokens is None or _tighter(status, tokens):
            tokens = status
    return lines if tokens is None else lines + _openai("tokens", tokens)


def duration(seconds: float) -> str:
    """Return a duration as OpenAI writes it: `20ms`, `1s`, `6m0s`, `1h0m0s`."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if whole < _HOUR:
        return f"{minutes}m{rest}s" if minutes else f"{rest}s"
    return f"{minutes // 60}h{minutes % 60}m{rest}s"


def _tighter(one: LimitStatus, other: LimitStatus) -> bool:
    if one.remaining != other.remaining:
        return one.remaining < other.remaining
    return one.reset > other.reset


def _openai(name: str, status: LimitStatus) -> str:
    return (
        f"x-ratelimit-limit-{name}: {status.limit}\r\n"
        f"x-ratelimit-remaining-{name}: {status.remaining}\r\n"
        f"x-ratelimit-reset-{name}: {duration(status.reset)}\r\n"
    )


def _anthropic(name: str, status: LimitStatus, wall: float) -> str:
    moment = datetime.fromtimestamp(wall + status.reset, UTC)
    return (
        f"anthropic-ratelimit-{name}-limit: {status.limit}\r\n"
        f"anthropic-ratelimit-{name}-remaining: {status.remaining}\r\n"
        f"anthropic-ratelimit-{name}-reset: {moment:%Y-%m-%dT%H:%M:%SZ}\r\n"
    )
