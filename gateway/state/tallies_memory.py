"""Counts of a process that shares nothing."""

from gateway.core.tallies import Agreed
from gateway.state.tallies import Batch, Cells, Exchange, Found, Wanted


def in_memory() -> Exchange:
    """Return the exchange with a dictionary."""
    parts: dict[tuple[str, int], dict[int, int]] = {}
    settings: dict[str, Agreed] = {}

    async def exchange(batch: Batch, wanted: Wanted) -> Found:
        for key in [key for key in parts if key[1] < wanted.oldest]:
            del parts[key]
        for each in batch.added:
            _add(parts.setdefault((each.name, each.part), {}), each.cells)
        for name, setting in batch.proposed.items():
            if setting.version > settings.get(name, Agreed()).version:
                settings[name] = setting
        sums = {}
        for name, enough in wanted.sums.items():
            sums[name] = cells = dict[int, int]()
            for part in range(wanted.part, wanted.oldest - 1, -1):
                _add(cells, parts.get((name, part), {}))
                if sum(cells.values()) >= enough:
                    break
        agreed = {name: settings[name] for name in wanted.agreed if name in settings}
        return Found(sums, agreed)

    return exchange


def _add(cells: dict[int, int], more: Cells) -> None:
    for cell, amount in more.items():
        cells[cell] = cells.get(cell, 0) + amount
