"""Answers and selections in the words of the scripts, and the scripts' answers in ours."""

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from gateway.core import wire
from gateway.core.answers import Answer, Selection
from gateway.state.answer_rows import pack
from gateway.state.redis.link import BYTES, Rejected
from gateway.state.redis.words import Words

OVERHEAD: Final = 2_048
"""Bytes of the server's memory that an answer takes beside its row, as measured."""

REFUSED: Final = "refused"


class Which(Struct, frozen=True):
    """A selection: an id or nothing, and the index names that all must have."""

    id: str
    names: tuple[str, ...]
    at: float = 0.0
    """When it was purged."""


class About(Struct, frozen=True):
    """What the scripts know of an answer."""

    key: str
    tenant: str
    names: tuple[str, ...]
    """`tenant:...`, `policy:...`, `asked:...` and `model:...`, then those of tags and corpora."""
    size: int
    stored: float
    gone_at: float

    @property
    def kind(self) -> tuple[str, str, str, str]:
        """Its tenant, policy, and model asked and answering."""
        tenant, policy, asked, model = (name.partition(":")[2] for name in self.names[:4])
        return tenant, policy, asked, model


class Changes(Struct, frozen=True, array_like=True):
    """What the store says of changes: number, id, and 1 when it was removed."""

    life: str
    last: int
    forgotten: int
    lines: tuple[tuple[int, str, int], ...]


Line = tuple[int, str, About]
_lines = wire.decoder(tuple[Line, ...])
_changes = wire.decoder(Changes)


def putting(answer: Answer, limit: int) -> Words:
    """Return the words of `answers_put.lua`."""
    row = pack(answer)
    names = (
        *(f"{kind}:{getattr(answer, kind)}" for kind in ("tenant", "policy", "asked", "model")),
        *(f"tag:{word}" for word in answer.tags),
        *(f"corpus:{word}" for word in answer.corpora),
    )
    size = len(row) + OVERHEAD
    about = About(answer.key, answer.tenant, names, size, answer.stored, answer.gone_at)
    return (answer.id, wire.encode(about), row, limit)


def selecting(which: Selection, at: float = 0.0) -> bytes:
    """Return a selection in JSON."""
    kinds = ("tenant", "policy", "asked", "model", "tag", "corpus")
    named = {kind: word for kind in kinds if (word := getattr(which, kind)) is not None}
    names = tuple(f"{kind}:{word}" for kind, word in named.items())
    return wire.encode(Which(which.id or "", names, at))


def listed(answer: str) -> tuple[int, Sequence[Line]]:
    """Read what `answers_list.lua` told. Raises Rejected."""
    before, _, body = answer.partition(" ")
    try:
        return int(float(before)), _lines.decode(body)
    except ValueError as error:
        raise Rejected("the answer makes no sense") from error


def changed(answer: str) -> Changes:
    """Read what `answers_feed.lua` told. Raises Rejected."""
    try:
        return _changes.decode(answer)
    except ValueError as error:
        raise Rejected("the answer makes no sense") from error


def rows(answer: str) -> Iterator[bytes | None]:
    """Read what `answers_rows.lua` told."""
    data = answer.encode(errors=BYTES)
    start = 0
    while start < len(data):
        colon = data.index(b":", start)
        length = int(data[start:colon])
        start = colon + 1 + max(length, 0)
        yield None if length < 0 else data[colon + 1 : start]
