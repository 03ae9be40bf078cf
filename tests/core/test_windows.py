"""Calendar windows: every moment lies in exactly one, through summer time and odd months."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.windows import Calendar, Each, Window, window_at, zone_of

ZONES = (
    *("UTC", "Europe/Berlin", "America/St_Johns", "America/Santiago", "Asia/Kathmandu"),
    *("Asia/Beirut", "Africa/Cairo", "Australia/Lord_Howe", "Pacific/Apia", "Antarctica/Troll"),
)
EACH: tuple[Each, ...] = ("hour", "day", "month")


@given(st.sampled_from(ZONES), st.sampled_from(EACH), st.floats(1.6e9, 2.4e9))
def test_a_moment_lies_in_its_window_and_the_next_one_follows_at_once(
    zone: str, each: Each, now: float
) -> None:
    window = window_at(each, zone_of(zone), now)
    assert window.starts <= now < window.ends
    after = window_at(each, zone_of(zone), window.ends)
    assert after.name != window.name
    assert after.starts == window.ends or zone == "Australia/Lord_Howe"


def berlin(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp()


@pytest.mark.parametrize(
    ("each", "now", "name", "hours"),
    [
        ("day", "2026-03-29T12:00", "2026-03-29", 23),
        ("day", "2026-10-25T12:00", "2026-10-25", 25),
        ("day", "2026-11-21T00:00", "2026-11-21", 24),
        ("month", "2026-02-14T12:00", "2026-02", 28 * 24),
        ("month", "2026-03-14T12:00", "2026-03", 31 * 24 - 1),
        ("month", "2026-12-31T23:59", "2026-12", 31 * 24),
        ("hour", "2026-03-29T03:10", "2026-03-29T03+0200", 1),
    ],
)
def test_days_and_months_are_as_long_as_the_zone_makes_them(
    each: Each, now: str, name: str, hours: int
) -> None:
    window = window_at(each, zone_of("Europe/Berlin"), berlin(now))
    assert window.name == name
    assert window.ends - window.starts == hours * 3600


def test_the_hour_that_comes_twice_is_two_windows() -> None:
    first = berlin("2026-10-25T02:30")
    names = {window_at("hour", zone_of("Europe/Berlin"), first + hour).name for hour in (0, 3600)}
    assert names == {"2026-10-25T02+0200", "2026-10-25T02+0100"}


def test_a_calendar_remembers_its_window_and_moves_on_with_time_both_ways() -> None:
    calendar = Calendar("hour", "UTC")
    first = calendar.at(7200.0)
    assert calendar.at(9000.0) is first
    assert calendar.at(10_800.0) == Window("1970-01-01T03+0000", 10_800.0, 14_400.0)
    assert calendar.at(7300.0) == first
    assert calendar.moment(first.ends) == "1970-01-01T03:00:00+00:00"


@pytest.mark.parametrize("name", ["Europe/Berlinn", "", "/etc/passwd", "../x", "x" * 500])
def test_a_zone_that_is_not_known_is_said_to_be_so(name: str) -> None:
    with pytest.raises(ValueError, match="there is no such time zone"):
        zone_of(name)
