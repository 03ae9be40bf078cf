"""Outcomes for tests, a plain good request unless told otherwise, and what metrics say of them."""

from collections.abc import Container
from typing import Any

from msgspec.structs import asdict
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from gateway.core.charge import charge_of
from gateway.core.exchange import Caller
from gateway.core.notes import Attempted, Note, Notes, Routed, Used
from gateway.core.outcome import Outcome, gather
from gateway.core.reply import Usage
from gateway.telemetry.fold import WideEvent, fold

GOOD: tuple[Note, ...] = (
    Routed("gpt", "one", "explicit"),
    Attempted("two", "gpt", 100.0, 100.2, "upstream_busy", 429),
    Attempted("one", "gpt", 100.2, 100.5),
    Used("gpt", Usage(57, 31, 7, 5, 3), 1_240),
)


def make_outcome(*left: Note, **changes: Any) -> Outcome:
    notes = Notes()
    for note in left:
        notes.add(note)
    values: dict[str, Any] = {
        "id": "req-0001",
        "endpoint": "/v1/chat/completions",
        "caller": Caller("acme", "0123abcd"),
        "policy": "default",
        "model": "gpt",
        "stream": False,
        "status": 200,
        "started": 100.0,
        "ended": 101.0,
        "first_byte": 100.9,
        "received": 500,
        "sent": 700,
        "facts": gather(notes),
    }
    return Outcome(**{**values, **changes})


def wide_event(outcome: Outcome, wall: float, served: Container[str]) -> WideEvent:
    return fold(outcome, charge_of(outcome.facts), wall, served)


def folded(outcome: Outcome, wall: float, served: Container[str]) -> dict[str, object]:
    return asdict(wide_event(outcome, wall, served))


def parsed(text: bytes) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text.decode())}


def value(text: bytes, name: str, **labels: str) -> float:
    for family in parsed(text).values():
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return float(sample.value)
    raise AssertionError(f"no {name} with {labels}")
