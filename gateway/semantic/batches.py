"""One thread that embeds for everybody: bounded, in turns, and never on the loop."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from gateway.core.embedding import Embedded, EmbedderUnavailable

MOST_CALLS: Final = 256
"""Calls that may wait; a further one is refused."""
MOST_TEXTS: Final = 4096
"""Texts that may wait before a call with several is refused. One text alone is still taken."""
_TEXTS: Final = 16
_CHARACTERS: Final = 1024

Engine = Callable[[Sequence[str]], Sequence[Embedded]]
"""Embeds on the thread that calls it."""


class _Call:
    """The texts of one `embed`, of which `taken` have gone to the thread."""

    __slots__ = ("embedded", "future", "taken", "texts")

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        self.taken = 0
        self.embedded: list[Embedded] = []
        self.future: asyncio.Future[Sequence[Embedded]]
        self.future = asyncio.get_running_loop().create_future()


class ThreadedEmbedder:
    """An engine behind one worker thread.

    An idle one starts at once; what arrives while it works is its next batch. Calls take turns
    text by text, so a long list holds up a single question by one batch (some 20 ms) only.
    """

    def __init__(
        self,
        fingerprint: str,
        dimensions: int,
        load: Callable[[], Engine],
        *,
        languages: frozenset[str] = frozenset(),
    ) -> None:
        """`load` runs on the worker thread; what it raises makes the embedder unavailable."""
        self.fingerprint = fingerprint
        self.dimensions = dimensions
        self.languages = languages
        self._load = load
        self._engine: Engine | None = None
        self._loading: asyncio.Future[Engine] | None = None
        self._problem = "it is still loading"
        self._thread = ThreadPoolExecutor(1, "embedder")
        self._calls: deque[_Call] = deque()
        self._waiting = 0
        self._busy = self._closed = False

    async def embed(self, texts: Sequence[str], /) -> Sequence[Embedded]:
        """Return one vector a text, in order. Raises EmbedderUnavailable; cancelling is safe."""
        if self._engine is None:
            raise EmbedderUnavailable(self._problem)
        if not texts:
            return ()
        several = len(texts) > 1 and self._waiting + len(texts) > MOST_TEXTS
        if several or len(self._calls) >= MOST_CALLS:
            raise EmbedderUnavailable("too many texts wait already")
        call = _Call(texts)
        self._calls.append(call)
        self._waiting += len(texts)
        if not self._busy:
            self._next(self._engine)
        return await call.future

    async def warm(self) -> None:
        """Load the model and run it once. Raises EmbedderUnavailable.

        Giving up waiting for it does not stop it.
        """
        if self._engine is None and self._loading is None and not self._closed:
            loop = asyncio.get_running_loop()
            self._loading = loop.run_in_executor(self._thread, self._load)
            self._loading.add_done_callback(self._loaded)
        if self._loading is not None:
            await asyncio.wait([self._loading])
        if self._engine is None:
            raise EmbedderUnavailable(self._problem)

    async def aclose(self) -> None:
        """Refuse what waits, and return when the thread has ended its batch."""
        self._closed, self._engine, self._problem = True, None, "it is closed"
        for call in self._calls:
            _fail(call, self._problem)
        self._calls.clear()
        await asyncio.to_thread(self._thread.shutdown)

    def _loaded(self, loading: "asyncio.Future[Engine]") -> None:
        self._loading = None
        error = loading.exception()
        if error is not None:
            self._problem = f"{type(error).__name__}: {error}"
        elif not self._closed:
            self._engine = loading.result()

    def _next(self, engine: Engine) -> None:
        batch = self._take()
        self._busy = bool(batch)
        if batch:
            texts = [call.texts[place] for call, place in batch]
            loop = asyncio.get_running_loop()
            working = loop.run_in_executor(self._thread, engine, texts)
            working.add_done_callback(partial(self._done, batch))

    def _take(self) -> list[tuple[_Call, int]]:
        """Return what to embed next: a text of each call in turn, of callers that still wait."""
        batch: list[tuple[_Call, int]] = []
        size = 0
        while self._calls and len(batch) < _TEXTS and size < _CHARACTERS:
            call = self._calls.popleft()
            if call.future.done():
                self._waiting -= len(call.texts) - call.taken
                continue
            batch.append((call, call.taken))
            size += min(len(call.texts[call.taken]), _CHARACTERS)
            call.taken += 1
            self._waiting -= 1
            if call.taken < len(call.texts):
                self._calls.append(call)
        return batch

    def _done(
        self, batch: Sequence[tuple[_Call, int]], working: "asyncio.Future[Sequence[Embedded]]"
    ) -> None:
        error = working.exception()
        if error is not None:
            for call, _ in batch:
                _fail(call, f"{type(error).__name__}: {error}")
        else:
            for (call, _), embedded in zip(batch, working.result(), strict=True):
                _give(call, embedded)
        if self._engine is not None:
            self._next(self._engine)


def _give(call: _Call, embedded: Embedded) -> None:
    call.embedded.append(embedded)  # a call's texts are taken in order
    if len(call.embedded) == len(call.texts) and not call.future.done():
        call.future.set_result(call.embedded)


def _fail(call: _Call, problem: str) -> None:
    if not call.future.done():
        call.future.set_exception(EmbedderUnavailable(problem))
