"""How limits stand, in the header names that each dialect's clients know."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, TypeAlias

from gateway.core.chat import Dialect
from gateway.core.notes import Family, Limited

Status: TypeAlias = tuple[int, int, float]
"""A limit, how much of it is left, and the seconds until it is whole again."""
_ANTHROPIC: Final[dict[Family, str]] = {
    "requests": "requests",
    "tokens": "tokens",
    "input-tokens": "input-tokens",
    "output-tokens": "output-tokens",
}
_OPENAI: Final = {name: "requests" if name == "requests" else "tokens" for name in _ANTHROPIC}
_HOUR: Final = 3600


def limit_lines(limited: Sequence[Limited], dialect: Dialect, wall: float) -> str:
    """Return the header lines for the tightest limit of each family. `wall` is epoch seconds."""
    names = _OPENAI if dialect == "openai" else _ANTHROPIC
    tightest: dict[str, Status] = {}
    for note in limited:
        for family, index in note.told:
            name, status = names[family], note.standing.status(index)
            if name not in tightest or _tighter(status, tightest[name]):
                tightest[name] = status
    lines = ""
    if dialect == "openai":
        for name, (limit, left, reset) in tightest.items():
            lines += (
                f"x-ratelimit-limit-{name}: {limit}\r\nx-ratelimit-remaining-{name}: {left}\r\n"
                f"x-ratelimit-reset-{name}: {duration(reset)}\r\n"
            )
        return lines
    for name, (limit, left, reset) in tightest.items():
        moment = datetime.fromtimestamp(wall + reset, UTC)
        lines += (
            f"anthropic-ratelimit-{name}-limit: {limit}\r\n"
            f"anthropic-ratelimit-{name}-remaining: {left}\r\n"
            f"anthropic-ratelimit-{name}-reset: {moment:%Y-%m-%dT%H:%M:%SZ}\r\n"
        )
    return lines


def duration(seconds: float) -> str:
    """Return a duration as OpenAI writes it: `20ms`, `1s`, `6m0s`, `1h0m0s`."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if whole < _HOUR:
        return f"{minutes}m{rest}s" if minutes else f"{rest}s"
    return f"{minutes // 60}h{minutes % 60}m{rest}s"


def _tighter(one: Status, other: Status) -> bool:
    if one[1] != other[1]:
        return one[1] < other[1]
    return one[2] > other[2]
