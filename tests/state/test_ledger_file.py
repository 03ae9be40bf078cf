"""`ledger.db`: rows are there for good."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from gateway.core.state import AttemptRow, RequestRow
from tests.fakes.stores import open_store


def read(folder: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(folder / "ledger.db")) as connection:
        return connection.execute(query).fetchall()


async def test_every_attempt_and_every_request_is_a_row(tmp_path: Path) -> None:
    attempt = AttemptRow(
        request="req-1",
        number=1,
        at=4.5,
        tenant="acme",
        provider="p",
        model="m",
        status=503,
        code="upstream_busy",
    )
    request = RequestRow(
        id="req-1",
        at=5.5,
        tenant="acme",
        key="0a1b2c3d",
        policy="default",
        endpoint="/v1/messages",
        model="m",
        status=200,
        output=9,
        micro_dollars=12,
        counted="relayed",
    )
    async with open_store("sqlite", tmp_path) as store:
        store.state.ledger.record([attempt, request])
    attempts = await asyncio.to_thread(read, tmp_path, "SELECT * FROM attempts")
    assert attempts == [("req-1", 1, 4.5, "acme", "p", "m", 503, "upstream_busy", 0, 0, 0, 0, None)]
    query = "SELECT id, at, key, endpoint, output, micro_dollars, counted FROM requests"
    requests = await asyncio.to_thread(read, tmp_path, query)
    assert requests == [("req-1", 5.5, "0a1b2c3d", "/v1/messages", 9, 12, "relayed")]


async def test_rows_are_synced_to_the_disk(tmp_path: Path) -> None:
    async with open_store("sqlite", tmp_path) as store:
        writer = store.state.ledger.writer  # type: ignore[attr-defined]  # this kind's own
        (level,) = await writer.read(lambda c: c.execute("PRAGMA synchronous").fetchone())
    assert level == 2


async def test_rows_of_a_former_run_add_up_too(tmp_path: Path) -> None:
    for number in range(2):
        async with open_store("sqlite", tmp_path) as store:
            row = RequestRow(
                id=f"r{number}",
                at=1,
                tenant="a",
                key="",
                policy="p",
                endpoint="e",
                model="m",
                status=200,
            )
            store.state.ledger.record([row])
    async with open_store("sqlite", tmp_path) as store:
        assert (await store.state.ledger.sums(0))["a"].requests == 2
