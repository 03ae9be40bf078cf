"""What every store promises about issued keys."""

from collections.abc import Sequence

import pytest

from gateway.core.state import IssuedKey
from tests.fakes.stores import Store


def key(number: int, created: float = 1.0) -> IssuedKey:
    return IssuedKey(
        id=f"key-{number}",
        digest=f"{number:064x}",
        prefix=f"tk-{number:04}",
        tenant="acme",
        labels={"team": "search"},
        networks=("10.0.0.0/8",),
        created=created,
        expires=2e9,
    )


async def test_keys_are_listed_as_they_were_created_oldest_first(store: Store) -> None:
    for number in (2, 1):
        await store.state.keys.create(key(number, created=10 - number))
    assert list(await store.state.keys.all()) == [key(2, 8), key(1, 9)]


@pytest.mark.parametrize("other", [key(1), key(1, created=9)])
async def test_a_key_is_created_once(store: Store, other: IssuedKey) -> None:
    await store.state.keys.create(key(1))
    with pytest.raises(ValueError, match="key-1 is there already"):
        await store.state.keys.create(other)
    assert list(await store.state.keys.all()) == [key(1)]


async def test_a_revoked_key_stays_revoked_since_the_first_time(store: Store) -> None:
    await store.state.keys.create(key(1))
    assert await store.state.keys.revoke("key-1", 5.0)
    assert await store.state.keys.revoke("key-1", 9.0)
    assert [found.revoked for found in await store.state.keys.all()] == [5.0]


async def test_revoking_an_unknown_key_says_so(store: Store) -> None:
    assert not await store.state.keys.revoke("key-1", 5.0)


async def test_a_follower_gets_the_whole_table_at_each_change(store: Store) -> None:
    seen: list[Sequence[IssuedKey]] = []
    await store.state.keys.create(key(1))
    store.state.keys.follow(seen.append)
    await store.state.keys.create(key(2))
    await store.state.keys.revoke("key-1", 5.0)
    assert [[(k.id, k.revoked) for k in table] for table in seen] == [
        [("key-1", None)],
        [("key-1", None), ("key-2", None)],
        [("key-1", 5.0), ("key-2", None)],
    ]
