"""The kinds of store that `state:` in `config/gateway.yaml` may name: one line each."""

from typing import TypeAlias

from gateway.state.memory import MemoryConfig
from gateway.state.redis.store import RedisConfig
from gateway.state.sqlite import SqliteConfig

AnyState: TypeAlias = MemoryConfig | SqliteConfig | RedisConfig
