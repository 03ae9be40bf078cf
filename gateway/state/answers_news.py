"""Reading `answers.db`: one answer, some, or what changed since a number."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final

from msgspec import Struct, field

from gateway.core import wire
from gateway.core.answers import Answer, Change, Cleared, Removed, Selection, Stored
from gateway.state.answer_rows import Damaged, unpack
from gateway.state.answers_table import fitting, purges_of
from gateway.state.writer import Connection

FIRST: Final = 256 << 20
"""Bytes of the newest answers that a process is told of when it begins to follow."""
GROUP: Final = 1 << 20
"""Bytes of answers that one look reads."""
NUMBER: Final = 500
"""Changes that one look reads."""
IDS: Final = 100
"""Ids in one change."""
_STORED: Final = 0
_REMOVED: Final = 1
_NUMBERS: Final = "SELECT last, forgotten FROM numbers"
_SIZES: Final = "SELECT n, size FROM answers ORDER BY n DESC"
_ROW: Final = "SELECT n, row FROM bodies WHERE n = ?"
_BY_KEY: Final = "SELECT n, row FROM answers JOIN bodies USING (n) WHERE key = ?"
_CHANGES: Final = """
SELECT n, id, 0 FROM answers WHERE n > :seen
UNION ALL SELECT n, id, 1 FROM removed WHERE n > :seen
UNION ALL SELECT n, which, 2 FROM purges WHERE n > :seen
ORDER BY n LIMIT :most
"""


class Place(Struct, frozen=True):
    """Up to which number changes were seen, and which was the last when that began."""

    seen: int
    began: int


class News(Struct):
    """What was found. `damaged` are the numbers of rows that are not to be used."""

    place: Place = Place(0, 0)
    more: bool = False
    answers: list[Answer] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    damaged: list[int] = field(default_factory=list)


def one(connection: Connection, key: str, now: float) -> News:
    """Look for the answer of a key."""
    news = News()
    lines = connection.execute(_BY_KEY, (key,)).fetchall()
    _take(connection, news, lines, now)
    if any(answer.key != key for answer in news.answers):
        return News(damaged=[n for n, _ in lines])
    return news


def some(connection: Connection, which: Selection, most: int, now: float) -> News:
    """Look for answers of a selection, the newest first."""
    news = News()
    for n, _ in fitting(connection, which):
        if len(news.answers) == most:
            break
        _take(connection, news, connection.execute(_ROW, (n,)), now)
    return news


def news_since(
    connection: Connection,
    place: Place | None,
    own: Mapping[str, Answer],
) -> News:
    """Look for changes since a place; None begins with the newest that there are."""
    last, forgotten = connection.execute(_NUMBERS).fetchone()
    if place is None:
        return News(Place(_start(connection), last), more=True)
    if place.seen == last:
        return News(place)
    if place.seen > last or max(place.seen, place.began) < forgotten:
        return News(Place(_start(connection), last), more=True, changes=[Cleared()])
    news, size, seen = News(), 0, place.seen
    lines = connection.execute(_CHANGES, {"seen": seen, "most": NUMBER}).fetchall()
    news.more = len(lines) == NUMBER
    for n, what, kind in lines:
        if size > GROUP:
            news.more = True
            break
        if kind == _STORED:
            answer = own.get(what) or _read(connection, news, n)
            if answer is not None:
                news.changes.append(Stored(answer))
                size += answer.size
        elif kind == _REMOVED:
            _remove(news, (what,))
        else:
            which = wire.decode_as(what, Selection)
            found = (name for _, name in fitting(connection, which, n))
            while ids := tuple(islice(found, IDS)):
                _remove(news, ids)
        seen = n
    news.place = Place(seen, place.began)
    return news


def _remove(news: News, ids: tuple[str, ...]) -> None:
    """Add to what was removed, few changes of many ids rather than many of one."""
    before = news.changes[-1] if news.changes else None
    if isinstance(before, Removed) and len(before.ids) + len(ids) <= IDS:
        news.changes[-1] = Removed(before.ids + ids)
    else:
        news.changes.append(Removed(ids))


def _start(connection: Connection) -> int:
    """Return the number after which the newest answers come, as many as there is room for."""
    size, n = 0, 0
    for n, each in connection.execute(_SIZES):
        size += each
        if size > FIRST:
            return int(n)
    return max(n - 1, 0)


def _take(
    connection: Connection,
    news: News,
    lines: Iterable[tuple[int, bytes]],
    now: float,
) -> None:
    """Add the answers of these rows that may be returned."""
    for n, row in lines:
        answer = _sound(news, n, row)
        if answer is None or answer.gone_at <= now:
            continue
        if not any(purge.covers(n, answer) for purge in purges_of(connection)):
            news.answers.append(answer)


def _read(connection: Connection, news: News, n: int) -> Answer | None:
    line = connection.execute(_ROW, (n,)).fetchone()
    return None if line is None else _sound(news, n, line[1])


def _sound(news: News, n: int, row: bytes) -> Answer | None:
    try:
        answer = unpack(row)
    except Damaged:
        answer = None
    if answer is None:
        news.damaged.append(n)
        return None
    return answer
