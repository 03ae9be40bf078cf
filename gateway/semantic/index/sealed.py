"""The bulk of a scope's vectors in FAISS, half precision. What is built is never written again.

Half precision moves a cosine by less than 0.0005. Everything here blocks: call it off the loop.
"""

from collections.abc import Iterator
from math import sqrt
from typing import Any, Final

import faiss
import numpy as np
import numpy.typing as npt

from gateway.semantic.index.tail import Found, Ids, Matrix, Vector

Halves = npt.NDArray[np.float16]

IVF_ABOVE: Final = 25_000
"""Vectors from which on only the lists nearest to a question are searched."""
_LISTS: Final = 4
_PROBES: Final = 16
_SAMPLES: Final = 20
_ROUNDS: Final = 5
"""Vectors a list to place the lists by, and how often they are moved. Twice of both takes four
times as long and finds no near neighbour more: of questions with one at 0.85, 99.2 % find it."""
_AT_ONCE: Final = 4096


class Sealed:
    """Vectors by id, searched by many threads, written by none."""

    def __init__(self, index: Any, dimensions: int, trained: int) -> None:  # noqa: ANN401 - faiss has no types
        self._index = index
        self._dimensions = dimensions
        self._trained = trained
        """Vectors that the lists were placed for; 0 when there are none."""

    @property
    def count(self) -> int:
        """Vectors, those that were dropped since too."""
        return int(self._index.ntotal)

    def near(self, vector: Vector, most: int) -> Found:
        """Return the nearest vectors."""
        faiss.omp_set_num_threads(1)  # a setting of each thread
        cosines, ids = self._index.search(vector.reshape(1, -1), most)
        return [(float(c), int(n)) for c, n in zip(cosines[0], ids[0], strict=True) if n >= 0]

    def merged(self, rows: Matrix, ids: Ids, gone: Ids) -> "Sealed":
        """Return a copy without the ids in `gone`, with these rows added.

        It is built from scratch when lists begin or cease to pay, and when there are twice as many
        vectors as the lists were placed for.
        """
        if self._fits(self.count - len(gone) + len(ids)):
            faiss.omp_set_num_threads(1)
            index = faiss.clone_index(self._index)
            if len(gone):
                index.remove_ids(gone)
            if len(ids):
                index.add_with_ids(rows, ids)
            return Sealed(index, self._dimensions, self._trained)
        old_rows, old_ids = self.living(gone)
        rows = np.concatenate([old_rows, rows.astype(np.float16)])
        return seal(rows, np.concatenate([old_ids, ids]))

    def _fits(self, count: int) -> bool:
        """Whether what there is serves so many vectors as well as something new would."""
        if not self._trained:
            return count <= IVF_ABOVE
        return IVF_ABOVE / 2 < count < 2 * self._trained

    def living(self, gone: Ids) -> tuple[Halves, Ids]:
        """Return copies of all vectors but those in `gone`, in any order."""
        rows = np.empty((self.count, self._dimensions), np.float16)
        ids = np.empty(self.count, np.int64)
        filled = 0
        for some, names in self._parts():
            keep = ~np.isin(names, gone)
            count = int(keep.sum())
            rows[filled : filled + count] = some[keep]
            ids[filled : filled + count] = names[keep]
            filled += count
        return rows[:filled], ids[:filled]

    def _parts(self) -> Iterator[tuple[Halves, Ids]]:
        """Yield the stored vectors and their ids, some at a time: each step holds up the loop."""
        if self._trained:
            lists = self._index.invlists
            for place in range(self._index.nlist):
                if size := lists.list_size(place):
                    codes = faiss.rev_swig_ptr(lists.get_codes(place), size * self._index.code_size)
                    yield self._halves(codes), faiss.rev_swig_ptr(lists.get_ids(place), size)
            return
        rows = self._halves(faiss.vector_to_array(faiss.downcast_index(self._index.index).codes))
        ids = faiss.vector_to_array(self._index.id_map)
        for start in range(0, len(ids), _AT_ONCE):
            yield rows[start : start + _AT_ONCE], ids[start : start + _AT_ONCE]

    def _halves(self, codes: "npt.NDArray[np.uint8]") -> Halves:
        return codes.view(np.float16).reshape(-1, self._dimensions)


def seal(rows: Matrix | Halves, ids: Ids) -> Sealed:
    """Return these vectors, with lists when there are many."""
    faiss.omp_set_num_threads(1)
    count, dimensions = rows.shape
    lists = _lists(count)
    half, product = faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    if not lists:
        index = faiss.IndexIDMap(faiss.IndexScalarQuantizer(dimensions, half, product))
    else:
        centres = faiss.IndexFlatIP(dimensions)
        by_residual = False  # so that what is stored is the vector itself
        index = faiss.IndexIVFScalarQuantizer(
            centres, dimensions, lists, half, product, by_residual
        )
        centres.this.disown()
        index.own_fields = True
        index.nprobe = _PROBES
        index.cp.niter = _ROUNDS
        index.cp.min_points_per_centroid = 1  # it would print a warning
        index.train(rows[:: max(1, count // (_SAMPLES * lists))].astype(np.float32))
    for start in range(0, count, _AT_ONCE):
        some = rows[start : start + _AT_ONCE].astype(np.float32)
        index.add_with_ids(some, ids[start : start + _AT_ONCE])
    return Sealed(index, dimensions, count if lists else 0)


def _lists(count: int) -> int:
    return int(_LISTS * sqrt(count)) if count > IVF_ABOVE else 0
