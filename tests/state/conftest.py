"""One contract for every kind of store, each the real one."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.fakes.redis_server import RedisServer, redis_server
from tests.fakes.stores import Store, open_store


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """One server for all tests that do it no harm."""
    with redis_server() as server:
        yield server


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server that this test may harm."""
    with redis_server() as own:
        yield own


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    url = request.getfixturevalue("redis").url if request.param == "redis" else ""
    async with open_store(request.param, tmp_path, url) as opened:
        yield opened
