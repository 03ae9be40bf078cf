"""The hard partition: digests over all that two requests must have in common to share an answer."""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, Final, Protocol

from msgspec import Struct

from gateway.core import wire
from gateway.core.catalogue import Catalogue
from gateway.core.exchange import SESSION, Exchange
from gateway.stages.semantic_cache.directives import HEADERS
from gateway.stages.semantic_cache.question import Question, normal, question_of

SIZE: Final = 20
"""Bytes of a digest."""
_OTHERS: Final = frozenset({*HEADERS, SESSION})
"""Headers by which an answer is found, or a tier chosen, and that change no answer."""
PREFIXES: Final = 4096
"""Digests of what many requests begin with, kept so that only the rest is digested."""


class Digest(Protocol):
    """A BLAKE2b that has begun; the standard library has no public name for its type."""

    def copy(self) -> "Digest": ...
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...
    def hexdigest(self) -> str: ...


class Asked(Struct, frozen=True):
    """A request as the cache sees it."""

    raw: bytes
    key: str
    scope: str
    question: Question


class Scopes:
    """Digests requests for one stage. `epoch` is the policy's own word; a new one forgets all."""

    def __init__(self, key: bytes, catalogue: Catalogue, *, shared: bool, epoch: str) -> None:
        self._key = key
        self._shared = shared
        # Not the prices: who answers is what counts.
        models = {
            name: (model.provider, model.upstream) for name, model in catalogue.models.items()
        }
        self._fixed = (wire.encode_sorted([models, catalogue.aliases]), epoch.encode())
        self._begun: dict[tuple[Any, ...], Digest] = {}

    def raw(self, exchange: Exchange) -> bytes:
        """Return the digest of the request as it is."""
        digest = self._of(exchange).copy()
        digest.update(exchange.request.body)
        return digest.digest()

    def asked(self, exchange: Exchange, raw: bytes, fingerprint: str) -> Asked:
        """Return what equal and near requests have in common.

        `fingerprint` is the embedder's: vectors of two embedders never meet.
        """
        question = question_of(exchange.request)
        digest = self._of(exchange).copy()
        _feed(digest, (wire.encode_sorted(question.rest),))
        scope = digest.copy()
        _feed(scope, (b"scope", fingerprint.encode()))
        if question.text is not None:
            _feed(digest, (b"question", normal(question.text).encode()))
        return Asked(raw, digest.hexdigest(), scope.hexdigest(), question)

    def _of(self, exchange: Exchange) -> Digest:
        """Return a digest of whose request it is, where it goes and what it speaks."""
        caller, request = exchange.caller, exchange.request
        same = (
            caller.tenant,
            exchange.policy,
            exchange.version,
            request.endpoint,
            request.version,
            request.betas,
            exchange.drop_params,
            tuple(sorted(caller.labels.items())) if caller.labels else (),
            _asked_about(exchange) if exchange.headers else (),
            exchange.corpora,
            () if exchange.route is None else _targets(exchange),
        )
        begun = self._begun.get(same)
        if begun is None:
            if len(self._begun) >= PREFIXES:
                self._begun.clear()
            begun = self._begun[same] = self._begin(same)
        return begun

    def _begin(self, same: tuple[Any, ...]) -> Digest:
        tenant, *rest = same
        digest = blake2b(key=self._key, digest_size=SIZE)
        whose = (b"shared", b"") if self._shared else (b"tenant", tenant.encode())
        _feed(digest, (*whose, *self._fixed, *map(wire.encode, rest)))
        return digest


def _feed(digest: Digest, parts: Iterable[bytes]) -> None:
    """Add parts, each behind its length: no two lists of parts are the same bytes."""
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)


def _asked_about(exchange: Exchange) -> tuple[tuple[str, str], ...]:
    """Return the headers that a `when` may go by."""
    return tuple(sorted(each for each in exchange.headers.items() if each[0] not in _OTHERS))


def _targets(exchange: Exchange) -> tuple[tuple[str, str], ...]:
    route = exchange.route
    return tuple((t.model.provider, t.model.name) for t in route.targets) if route else ()
