"""What whoever follows a file reads: all of it from the newest, then what changed."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from gateway.core.answers import Answer, Cleared, Removed, Selection, Stored
from gateway.state import answers_news as news
from gateway.state import answers_table as table
from gateway.state.writer import Connection
from tests.fakes.kept import NOW, answer


@pytest.fixture
def file() -> Iterator[Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        table.prepare(connection)
        yield connection


class Reader:
    """Follows a file from its newest answers on."""

    def __init__(self, file: Connection) -> None:
        self.place: news.Place | None = None
        self.own: dict[str, Answer] = {}
        self._file = file

    def read(self) -> list[str]:
        told: list[str] = []
        for _ in range(100):
            found = news.news_since(self._file, self.place, self.own)
            self.place = found.place
            for change in found.changes:
                if isinstance(change, Stored):
                    told.append(f"+{change.answer.id[3:]}")
                elif isinstance(change, Removed):
                    told.append("-" + " ".join(name[3:] for name in change.ids))
                else:
                    told.append("clear")
            if not found.more:
                return told
        raise AssertionError("it never ends")


def test_reading_begins_with_what_is_there_and_goes_on_with_changes(file: Connection) -> None:
    reader = Reader(file)
    assert reader.read() == []
    table.add(file, [answer(1), answer(2)])
    assert reader.read() == ["+1", "+2"]
    assert reader.read() == []
    table.add(file, [answer(3, key=answer(1).key)])
    assert reader.read() == ["-1", "+3"]
    assert Reader(file).read()[-1] == "+3"


def test_only_as_many_of_the_newest_are_read_as_there_is_room_for(
    file: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "FIRST", 30_000)
    table.add(file, [answer(n) for n in range(100)])
    told = Reader(file).read()
    assert 5 < len(told) < 15
    assert told == [f"+{n}" for n in range(100 - len(told), 100)]


def test_many_are_read_in_groups_of_bounded_bytes_and_number(file: Connection) -> None:
    large = [answer(n, body=b"x" * 300_000) for n in range(10)]
    table.add(file, large)
    found = news.news_since(file, news.Place(0, 0), {})
    assert len(found.changes) == 4
    table.add(file, [answer(n) for n in range(10, 10 + 3 * news.NUMBER)])
    assert Reader(file).read() == [f"+{n}" for n in range(10 + 3 * news.NUMBER)]


def test_ones_own_answers_are_not_read_again(file: Connection) -> None:
    reader = Reader(file)
    reader.read()
    own = answer(1, body=b"the object itself")
    table.add(file, [answer(1)])
    reader.own["id-1"] = own
    found = news.news_since(file, reader.place, reader.own)
    assert found.changes == [Stored(own)]


def test_a_purge_is_told_before_it_is_worked_off(file: Connection) -> None:
    reader = Reader(file)
    table.add(file, [answer(n, tenant="ab"[n % 2]) for n in range(6)])
    reader.read()
    table.mark(file, Selection(tenant="a"), NOW + 100)
    table.add(file, [answer(200, tenant="a")])
    assert reader.read() == ["-4 2 0", "+200"]
    assert news.one(file, answer(2).key, NOW).answers == []
    assert news.some(file, Selection(tenant="a"), 10, NOW).answers == [answer(200, tenant="a")]
    while table.work_off(file, NOW):
        pass
    assert set(reader.read()) == {"-4 2 0"}


def test_who_missed_removals_is_told_to_forget_everything(
    file: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "REMEMBERED", 5)
    table.add(file, [answer(n) for n in range(20)])
    reader = Reader(file)
    reader.read()
    table.add(file, [answer(100 + n, key=answer(n).key) for n in range(15)])
    table.wipe(file)
    table.forget(file)
    told = reader.read()
    assert told[0] == "clear"
    assert {line for line in told if line[0] == "+"} == {
        *(f"+{n}" for n in range(15, 20)),
        *(f"+{100 + n}" for n in range(15)),
    }
    assert Reader(file).read().count("clear") == 0


def test_who_knows_more_than_the_file_has_begins_anew(file: Connection) -> None:
    table.add(file, [answer(1)])
    found = news.news_since(file, news.Place(99, 0), {})
    assert found.changes == [Cleared()]
    assert found.more


def test_a_row_under_another_key_is_not_the_answer(file: Connection) -> None:
    table.add(file, [answer(1), answer(2)])
    file.execute("UPDATE bodies SET row = (SELECT row FROM bodies WHERE n = 2) WHERE n = 1")
    found = news.one(file, answer(1).key, NOW)
    assert (found.answers, found.damaged) == ([], [1])
