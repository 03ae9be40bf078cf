"""The tables of answers: sums that add up, and removals that are remembered and forgotten."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from gateway.core.answers import Selection
from gateway.state import answers_table as table
from gateway.state.writer import Connection
from tests.fakes.kept import NOW, answer


@pytest.fixture
def file() -> Iterator[Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        table.prepare(connection)
        table.prepare(connection)
        yield connection


def rows(file: Connection, query: str) -> list[Any]:
    return file.execute(query).fetchall()


def test_the_sizes_of_tenants_add_up_whatever_happens(file: Connection) -> None:
    table.add(file, [answer(n, tenant="ab"[n % 2], body=b"x" * n) for n in range(100)])
    table.add(file, [answer(200 + n, key=answer(n).key, body=b"y" * 999) for n in range(30)])
    table.mark(file, Selection(tenant="b"), NOW + 200)
    while table.work_off(file, NOW):
        pass
    summed = "SELECT tenant, count(*), sum(size) FROM answers GROUP BY tenant ORDER BY tenant"
    assert rows(file, "SELECT * FROM tenants ORDER BY tenant") == rows(file, summed)
    assert [name for name, *_ in rows(file, summed)] == ["a", "acme"]
    assert rows(file, "SELECT count(*) FROM bodies") == rows(file, "SELECT count(*) FROM answers")


def test_an_id_that_comes_again_with_another_key_is_there_once(file: Connection) -> None:
    table.add(file, [answer(1), answer(1, key="another")])
    assert rows(file, "SELECT id, key FROM answers") == [("id-1", "another")]


def test_a_purge_refuses_older_answers_for_a_minute_and_is_then_forgotten(
    file: Connection,
) -> None:
    assert table.mark(file, Selection(tenant="acme"), NOW + 5) == 0
    late = [answer(4), answer(5), answer(6), answer(7, tenant="bob", stored=NOW)]
    assert table.add(file, late) == ["id-4", "id-5"]
    assert not table.work_off(file, NOW + 5) or not table.work_off(file, NOW + 5)
    table.work_off(file, NOW + 5 + table.REFUSED)
    assert len(table.purges_of(file)) == 1
    table.work_off(file, NOW + 6 + table.REFUSED)
    assert table.purges_of(file) == []
    assert {name for _, name in table.fitting(file, Selection())} == {"id-6", "id-7"}


def test_a_purge_goes_on_where_another_process_stopped(file: Connection) -> None:
    table.add(file, [answer(n, stored=NOW) for n in range(3 * table.BATCH + 1)])
    assert table.mark(file, Selection(), NOW) == 3 * table.BATCH + 1
    left = []
    while table.work_off(file, NOW):
        left.append(table.count(file, Selection()))
    assert left == [2 * table.BATCH + 1, table.BATCH + 1, 1, 0]
    assert rows(file, "SELECT count(*) FROM bodies") == [(0,)]


def test_eviction_takes_turns_between_the_largest(file: Connection) -> None:
    table.add(file, [answer(n, tenant="abc"[n % 3]) for n in range(90)])
    table.add(file, [answer(1000 + n, tenant="d") for n in range(5)])
    (total,) = file.execute("SELECT sum(size) FROM tenants").fetchone()
    evicted = table.evict(file, total // 2)
    counts = dict(rows(file, "SELECT tenant, answers FROM tenants"))
    assert counts["d"] == 5
    assert max(counts[name] for name in "abc") - min(counts[name] for name in "abc") <= table.FEW
    assert sum(counts.values()) + evicted == 95
    assert file.execute("SELECT sum(size) FROM tenants").fetchone()[0] <= total // 2
    assert rows(file, "SELECT min(n) FROM answers WHERE tenant = 'a'")[0][0] > 1


def test_removals_are_forgotten_only_when_they_are_long_past(
    file: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "REMEMBERED", 10)
    table.add(file, [answer(n) for n in range(20)])
    table.expire(file, NOW + 10_000)
    table.forget(file)
    assert rows(file, "SELECT forgotten FROM numbers") == [(0,)]
    table.wipe(file)
    table.forget(file)
    assert rows(file, "SELECT forgotten, count(*), min(n) FROM numbers, removed") == [(30, 10, 31)]


def test_what_there_is_leaves_out_what_is_over(file: Connection) -> None:
    table.add(file, [answer(1), answer(2, gone_at=NOW + 1)])
    (held,) = table.held(file, NOW + 2)
    assert (held.answers, held.tenant) == (1, "acme")
