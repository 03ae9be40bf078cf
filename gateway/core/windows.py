"""Calendar windows in a time zone: the hour, day or month that a moment lies in."""

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

Each = Literal["hour", "day", "month"]


class Window(Struct, frozen=True, gc=False):
    """From `starts` to `ends`, epoch seconds; `name` occurs once in the zone's calendar."""

    name: str
    starts: float
    ends: float


@lru_cache(maxsize=1024)
def zone_of(name: str) -> tzinfo:
    """Return the time zone of this IANA name. Raises ValueError when this machine knows none."""
    if name == "UTC":  # also where no database of zones is installed
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError) as error:
        raise ValueError("there is no such time zone") from error


def window_at(each: Each, zone: tzinfo, now: float) -> Window:
    """Return the window of the epoch time `now`.

    A day begins at the first midnight of its date, or where the clocks skip that, right after.
    """
    second = int(now)  # rounded up, it could lie in another window
    local = datetime.fromtimestamp(second, zone)
    if each == "hour":
        # By the clock on the wall: the hour that comes twice in autumn is two windows.
        starts = float(second - local.minute * 60 - local.second)
        name = local.strftime("%Y-%m-%dT%H%z")
        return Window(name, starts, starts + 3600)
    first = datetime(local.year, local.month, local.day if each == "day" else 1, tzinfo=zone)
    after = first + (timedelta(days=1) if each == "day" else timedelta(days=31))
    if each == "month":
        after = after.replace(day=1)
    name = first.strftime("%Y-%m-%d" if each == "day" else "%Y-%m")
    return Window(name, first.timestamp(), after.timestamp())


class Calendar:
    """Windows of one kind and zone; the current one is worked out once."""

    __slots__ = ("_current", "_each", "_zone")

    def __init__(self, each: Each, zone: str) -> None:
        """Take a zone that `zone_of` knows."""
        self._each = each
        self._zone = zone_of(zone)
        self._current = Window("", 0.0, 0.0)

    def at(self, now: float) -> Window:
        """Return the window of an epoch time."""
        window = self._current
        if not window.starts <= now < window.ends:
            window = self._current = window_at(self._each, self._zone, now)
        return window

    def moment(self, when: float) -> str:
        """Return an epoch time as people of the zone write it."""
        return datetime.fromtimestamp(round(when), self._zone).isoformat()
