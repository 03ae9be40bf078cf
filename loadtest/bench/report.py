"""The figures side by side, and whether the bars are met."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Final

from msgspec import Struct

from gateway.core import wire
from loadtest.bench.measure import Measured

Rounds = Sequence[Measured]
_ROWS: Final = (
    ("request_us", "CPU a request, us"),
    ("chunk_us", "CPU a streamed chunk, us"),
    ("requests_s", "requests a second, one core"),
    ("added_p50_ms", "added latency p50, ms"),
    ("added_p99_ms", "added latency p99, ms"),
    ("cold_s", "cold start to first answer, s"),
    ("idle_mb", "memory idle, MB"),
    ("streams_mb", "memory with open streams, MB"),
)
_RATIOS: Final = (
    ("request_us", "request: CPU of the bare relay, x"),
    ("chunk_us", "chunk: CPU of the bare relay, x"),
)


class Bar(Struct, frozen=True):
    """One promise and what became of it."""

    name: str
    value: float
    limit: float

    @property
    def met(self) -> bool:
        """Whether the promise holds."""
        return self.value <= self.limit


def middle(rounds: Rounds, name: str) -> float:
    """Return the median over the rounds."""
    values: list[float] = [getattr(each, name) for each in rounds]
    return median(values)


def ratio(results: Mapping[str, Rounds], name: str, target: str = "turnout") -> float:
    """Return the median over rounds of target / bare, so that drift of the machine cancels."""
    pairs = zip(results[target], results["bare"], strict=True)
    values: list[float] = [getattr(a, name) / max(1e-9, getattr(b, name)) for a, b in pairs]
    return median(values)


def bars(results: Mapping[str, Rounds]) -> list[Bar]:
    """Return every promise."""
    ours = results["turnout"]
    return [
        Bar("request: CPU of a bare aiohttp relay, x", ratio(results, "request_us"), 0.8),
        Bar("chunk: CPU of a bare aiohttp relay, x", ratio(results, "chunk_us"), 1.2),
        Bar("cold start, s", middle(ours, "cold_s"), 0.6),
        Bar("memory idle, MB", middle(ours, "idle_mb"), 70),
        Bar("memory with 500 open streams, MB", middle(ours, "streams_mb"), 100),
    ]


def table(results: Mapping[str, Rounds]) -> str:
    """Return the medians of all targets side by side, and what they are of the bare relay's."""
    names = list(results)
    lines = [f"{'median of the rounds':34}" + "".join(f"{name:>12}" for name in names)]
    for field, label in _ROWS:
        values = "".join(f"{middle(results[name], field):12.3f}" for name in names)
        lines.append(f"{label:34}{values}")
    for field, label in _RATIOS:
        values = "".join(f"{ratio(results, field, name):12.3f}" for name in names)
        lines.append(f"{label:34}{values}")
    return "\n".join(lines)


def verdicts(promises: Sequence[Bar]) -> str:
    """Return one line for each promise."""
    return "\n".join(
        f"{'PASS' if bar.met else 'FAIL'}  {bar.name:40} {bar.value:8.3f}  (at most {bar.limit:g})"
        for bar in promises
    )


def write(results: Mapping[str, Rounds], path: Path) -> None:
    """Keep every round and the verdicts as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    promises = [
        {"name": b.name, "value": b.value, "limit": b.limit, "met": b.met} for b in bars(results)
    ]
    path.write_bytes(wire.encode({"rounds": results, "bars": promises}) + b"\n")
