"""What embedding, the index and a start cost: `python -m loadtest.bench.semantic`.

CPU time of this process is what counts: on a shared machine wall time tells of the neighbours.
Vectors for the index are made up, in clusters of twenty.
"""

import argparse
import asyncio
import ctypes
import gc
import gzip
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from gateway.semantic.batches import ThreadedEmbedder
from gateway.semantic.index.index import Index
from gateway.semantic.minilm import DIMENSIONS
from gateway.semantic.minilm.embedder import open_minilm
from loadtest.bench.start import first_lookup

LOOKUP_MS: Final = 3.0
SEARCH_MS: Final = 1.0
START_MS: Final = 1_500.0
_STARTS: Final = 5
LARGE: Final = 100_000
_WORD: Final = "question "
_CLUSTER: Final = 20
_SPREAD: Final = 0.35
_EVERY: Final = 50

Vectors = npt.NDArray[np.float32]


def main() -> int:
    """Measure and print. Returns 1 when a bar is missed."""
    options = argparse.ArgumentParser(prog="python -m loadtest.bench.semantic", description=__doc__)
    options.add_argument("--sts", type=Path, help="pairs with their likeness, as JSON Lines")
    return asyncio.run(run(options.parse_args().sts))


async def run(sts: Path | None) -> int:
    """Measure and print. Returns how many bars were missed."""
    missed = 0
    with tempfile.TemporaryDirectory(prefix="turnout-bench-") as folder:
        embedder = await opened(Path(folder))
        missed += await lookups(embedder)
        if sts is not None:
            await likeness(embedder, sts)
        await embedder.aclose()
        missed += await asyncio.to_thread(starts, Path(folder))
    for count in (200, 2_000, 20_000, LARGE):
        missed += await searches(count)
    return min(missed, 1)


async def opened(folder: Path) -> ThreadedEmbedder:
    """Return the embedder, warm; say how long that took with and without its graph at hand."""
    await (await _warmed(folder, "built")).aclose()
    return await _warmed(folder, "read")


async def _warmed(folder: Path, what: str) -> ThreadedEmbedder:
    start = time.perf_counter()
    embedder = open_minilm(folder)
    await embedder.warm()
    print(f"start: graph {what}, loaded and run in {time.perf_counter() - start:.2f} s")
    return embedder


async def lookups(embedder: ThreadedEmbedder) -> int:
    """Embed texts of some lengths; look the short one up among 2,000."""
    index = Index(DIMENSIONS, 1 << 40)
    await index.warm()
    for number, row in enumerate(clustered(2_000, 1)):
        index.add("scope", f"{number:036}", row.tobytes(), "acme")
    await asyncio.sleep(0.2)

    async def look_up(text: str) -> None:
        (embedded,) = await embedder.embed([text])
        await index.search("scope", embedded.vector, 8)

    for tokens in (12, 64, 256):
        text = _WORD * (tokens - 2)
        embedding = await cpu_ms(partial(embedder.embed, [text]), 100)
        print(f"embed {tokens:3} tokens: p50 {embedding[0]:.2f} ms, p99 {embedding[1]:.2f} ms")
    whole = await cpu_ms(lambda: look_up(_WORD * 10), 400)
    await index.aclose()
    return verdict(f"look-up at 12 tokens: p50 {whole[0]:.2f} ms", whole[0], LOOKUP_MS)


async def searches(count: int) -> int:
    """Fill one scope and search it."""
    index = Index(DIMENSIONS, 1 << 40)
    await index.warm()
    rows = clustered(count, count)
    before = memory()
    start, loop, worst = time.process_time(), 0.0, 0.0
    for number, row in enumerate(rows):
        vector, begun = row.tobytes(), time.perf_counter()
        index.add("scope", f"{number:036}", vector, "acme")
        took = time.perf_counter() - begun
        loop, worst = loop + took, max(worst, took)
        if number % _EVERY == 0:
            await asyncio.sleep(0)
    while index.merging:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.02)
    built = time.process_time() - start
    entry = (memory() - before) / count
    questions = clustered(count, count)[:: max(1, count // 1_000)]
    numbers = iter(range(1_000_000))

    async def search() -> None:
        row = questions[next(numbers) % len(questions)]
        await index.search("scope", row.tobytes(), 8)

    p50, p99 = await cpu_ms(search, 2_000)
    await index.aclose()
    print(
        f"{count:7,} vectors: {entry:,.0f} bytes each, added in {1e6 * loop / count:.0f} us on the"
        f" loop (longest {1e3 * worst:.1f} ms), {1e6 * built / count:.0f} us of CPU in all"
    )
    line = f"{count:7,} vectors: search p50 {p50:.3f} ms, p99 {p99:.3f} ms"
    return verdict(line, p99, SEARCH_MS) if count == LARGE else verdict(line, 0.0, SEARCH_MS)


def starts(folder: Path) -> int:
    """Start `turnout serve` with this embedder until a question was looked up.

    Others on the machine only ever add to a start, so the quickest counts.
    """
    first, *rest = [first_lookup(folder) for _ in range(1 + _STARTS)]
    quickest = min(rest)
    line = (
        f"start to the first look-up: {1e3 * quickest.wall:.0f} ms, {1e3 * quickest.cpu:.0f} of CPU"
        f" (of {_STARTS}; the very first, which builds the graph: {1e3 * first.wall:.0f} ms)"
    )
    return verdict(line, 1e3 * quickest.wall, START_MS)


async def likeness(embedder: ThreadedEmbedder, path: Path) -> None:
    """Print how well cosines follow what people said."""
    opening = gzip.open if path.suffix == ".gz" else open
    with opening(path, "rt", encoding="utf-8") as file:
        pairs = [json.loads(line) for line in file]
    a, b = [await embedded(embedder, [pair[side] for pair in pairs]) for side in ("a", "b")]
    said = np.array([pair["y"] for pair in pairs], np.float32)
    figure = float(np.corrcoef(ranks(np.vecdot(a, b)), ranks(said))[0, 1])
    print(f"{path.name}: Spearman's rho {figure:.4f} over {len(pairs):,} pairs")


async def embedded(embedder: ThreadedEmbedder, texts: Sequence[str]) -> Vectors:
    """Return the vectors of many texts."""
    rows = [
        each.vector
        for start in range(0, len(texts), 1000)
        for each in await embedder.embed(texts[start : start + 1000])
    ]
    return np.frombuffer(b"".join(rows), "<f4").reshape(len(texts), -1)


def ranks(values: Vectors) -> npt.NDArray[np.float64]:
    """Return ranks; equal values share their mean."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    means: npt.NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[which]
    return means


def clustered(count: int, seed: int) -> Vectors:
    """Return unit vectors around some centres."""
    chance = np.random.default_rng(seed)
    centres = chance.standard_normal((max(1, count // _CLUSTER), DIMENSIONS))
    noise = _SPREAD * chance.standard_normal((count, DIMENSIONS))
    rows = (centres[np.arange(count) % len(centres)] + noise).astype("<f4")
    scaled: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled


async def cpu_ms(work: Callable[[], Awaitable[object]], times: int) -> tuple[float, float]:
    """Return p50 and p99 of the CPU milliseconds of one call."""
    taken = []
    for _ in range(times):
        start = time.process_time()
        await work()
        taken.append(1e3 * (time.process_time() - start))
    return float(np.percentile(taken, 50)), float(np.percentile(taken, 99))


def memory() -> int:
    """Return the bytes that this process holds, without what is only kept for later."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    status = Path("/proc/self/statm").read_text(encoding="ascii")
    return int(status.split()[1]) * 4096


def verdict(line: str, figure: float, bar: float) -> int:
    """Print a line with what became of its bar; return 1 when it was missed."""
    missed = figure > bar
    said = f" (bar: {bar:g} ms, {'missed' if missed else 'met'})" if figure else ""
    print(line + said)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
