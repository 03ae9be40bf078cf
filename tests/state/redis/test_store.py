"""The `state:` block of kind redis."""

from pathlib import Path

import msgspec
import pytest

from gateway.core.secret import Secret
from gateway.state.redis.store import RedisConfig
from tests.fakes.runtime import make_runtime


def test_the_password_in_the_url_is_never_shown() -> None:
    config = RedisConfig(url=Secret("redis://:hunter2@localhost", "env:REDIS_URL"))
    assert "hunter2" not in repr(config)


@pytest.mark.parametrize("prefix", ["a b", "é", "x" * 65])
def test_a_prefix_is_plain_text(prefix: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(
            {"kind": "redis", "url": Secret("redis://x", "test"), "prefix": prefix}, RedisConfig
        )


async def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    config = RedisConfig(url=Secret("http://127.0.0.1", "env:REDIS_URL"))
    with pytest.raises(ValueError, match="Redis URL must specify"):
        async with config.open(make_runtime(), tmp_path):
            pass
