"""Records of audited groups in this process alone."""

from collections.abc import Callable, Sequence

from gateway.core.audits import MOST, Record


class MemoryAudits:
    """An AuditStore in a dictionary. Nothing here waits."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        """The one that changed longest ago first."""
        self._followers: list[Callable[[Sequence[Record]], None]] = []

    async def all(self) -> Sequence[Record]:
        return tuple(self._records.values())

    async def swap(self, record: Record, /) -> Record | None:
        there = self._records.get(record.name, Record(record.name, 0, b""))
        if there.revision != record.revision - 1:
            return there
        self._records.pop(record.name, None)
        self._records[record.name] = record
        if len(self._records) > MOST:
            del self._records[next(iter(self._records))]
        for callback in self._followers:
            callback((record,))
        return None

    def follow(self, callback: Callable[[Sequence[Record]], None], /) -> None:
        self._followers.append(callback)
        callback(tuple(self._records.values()))
