"""What a process has at hand follows the store, and what is near is found by the right embedder."""

from gateway.core.answers import Cleared, Removed, Selection, Stored
from gateway.core.cache import Cache, open_cache
from gateway.core.chat import parse_request
from gateway.state.answers_memory import MemoryAnswers
from tests.fakes.kept import NOW, answer
from tests.fakes.near import ListIndex, WordEmbedder


def cache_with() -> tuple[Cache, ListIndex]:
    index = ListIndex()
    store = MemoryAnswers(lambda: NOW, 1 << 20)
    return open_cache(store, b"pepper", WordEmbedder(), index), index


async def test_what_is_kept_is_at_hand_in_the_store_and_found_as_a_neighbour_once() -> None:
    cache, index = cache_with()
    one = answer(1, embedder=WordEmbedder.fingerprint)
    cache.keep(one, b"raw")
    assert cache.shelf.raw(b"raw", NOW) is one
    assert list(await cache.store.find(Selection(), most=9)) == [one]
    assert index.added == [one.id]


async def test_a_vector_of_another_embedder_is_no_neighbour() -> None:
    cache, index = cache_with()
    cache.keep(answer(1))
    cache.keep(answer(2, vector=b"", embedder=""))
    assert index.held == {}
    assert len(cache.shelf) == 2
    assert await cache.store.get(answer(1).key) == answer(1)


async def test_what_others_store_and_remove_is_followed() -> None:
    cache, index = cache_with()
    one, two = (answer(n, embedder=WordEmbedder.fingerprint) for n in (1, 2))
    cache.follow([Stored(one), Stored(two)])
    assert set(index.held) == {"id-1", "id-2"}
    cache.follow([Removed(("id-1", "nobody"))])
    assert set(index.held) == {"id-2"}
    assert cache.shelf.by_id("id-1", NOW) is None
    cache.follow([Cleared()])
    assert len(cache.shelf) == 0
    assert index.held == {}


async def test_what_was_read_of_requests_goes_with_any_answer_that_goes() -> None:
    cache, _ = cache_with()
    asked = parse_request("completions", b'{"model":"m","prompt":"p"}')
    for change in (Removed(("id-1",)), Cleared()):
        cache.known.remember("acme", asked)
        cache.follow([change])
        assert len(cache.known) == 0


async def test_what_was_there_before_is_at_hand_from_the_start() -> None:
    store = MemoryAnswers(lambda: NOW, 1 << 20)
    store.put(answer(1))
    assert open_cache(store, b"pepper").shelf.by_id("id-1", NOW) is not None


def test_another_pepper_is_another_key() -> None:
    store = MemoryAnswers(lambda: NOW, 1 << 20)
    one, other = (open_cache(store, pepper).key for pepper in (b"one", b"other"))
    assert one != other
    assert len(one) == 32
