"""Requests answered from memory, as they were read: the same bytes need no second look."""

from typing import Final

from gateway.core.chat import ChatRequest, Endpoint

LIMIT: Final = 1 << 20
"""Bytes of all bodies together; what was read of them takes some times as much."""
LARGEST: Final = 16 << 10
"""Bytes of one: to read more takes longer than anything else about a hit."""


class KnownRequests:
    """Finds what was read of a body. A tenant's requests are known to that tenant alone.

    So nobody can tell by the time that a request takes what others have asked.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._size = 0
        self._requests: dict[tuple[str, bytes], ChatRequest] = {}

    def __len__(self) -> int:
        return len(self._requests)

    def find(
        self, tenant: str, endpoint: Endpoint, body: bytes, betas: tuple[str, ...], version: str
    ) -> ChatRequest | None:
        """Return the request of these bytes that came in the same way, if it is known."""
        known = self._requests.get((tenant, body))
        if known is None or (known.endpoint, known.betas, known.version) != (
            endpoint,
            betas,
            version,
        ):
            return None
        return known

    def remember(self, tenant: str, request: ChatRequest) -> None:
        """Know this request from now on, in place of the oldest where there is no more room."""
        whose = tenant, request.body
        if whose in self._requests or len(request.body) > LARGEST:
            return
        self._requests[whose] = request
        self._size += len(request.body)
        while self._size > self._limit:
            oldest = next(iter(self._requests))
            del self._requests[oldest]
            self._size -= len(oldest[1])

    def clear(self) -> None:
        """Forget all."""
        self._requests.clear()
        self._size = 0
