"""Outcomes for tests: a plain good request unless told otherwise."""

from typing import Any

from gateway.core.exchange import Caller
from gateway.core.notes import Note, Notes
from gateway.core.outcome import Outcome, gather


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
