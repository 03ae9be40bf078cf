"""One contract for every kind of store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.stores import Store, open_store


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(request.param, tmp_path) as opened:
        yield opened
