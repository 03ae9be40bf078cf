"""The local provider, closed after each test."""

from collections.abc import AsyncIterator

import pytest

from gateway.providers.local.provider import Local, LocalConfig
from tests.fakes.runtime import real_time_runtime


@pytest.fixture
async def local() -> AsyncIterator[Local]:
    provider = LocalConfig().build("my-local", real_time_runtime())
    assert isinstance(provider, Local)
    yield provider
    await provider.aclose()
