"""The headers that say what the cache made of a request."""

from gateway.core.notes import Cached


def cache_lines(cached: Cached) -> str:
    """Return the header lines. An age is in whole seconds, as that of RFC 9111."""
    lines = f"x-turnout-cache: {cached.result}\r\n"
    if cached.reason:
        lines += f"x-turnout-cache-reason: {cached.reason}\r\n"
    if cached.hit:
        lines += f"x-turnout-cache-age: {int(cached.age)}\r\nx-turnout-cache-id: {cached.id}\r\n"
    if cached.risk:
        lines += f"x-turnout-cache-risk: {cached.risk}\r\n"
    if cached.unstored:
        lines += f"x-turnout-cache-unstored: {cached.unstored}\r\n"
    return lines
