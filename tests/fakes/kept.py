"""Answers to keep: all alike but for what a test names."""

from array import array
from typing import Any

from gateway.core.answers import Answer
from gateway.core.reply import Usage

NOW = 1_000_000.0
EMBEDDER = "minilm/int8/1"
VECTOR = array("f", [1.0, *[0.0] * 383]).tobytes()


def answer(number: int, **changes: Any) -> Answer:
    """Return an answer of tenant acme, good for an hour from NOW; `key` follows from `number`."""
    fields: dict[str, Any] = {
        "id": f"id-{number}",
        "scope": f"{number % 3:064x}",
        "key": f"{number:064x}",
        "group": "acme/default/gpt",
        "tenant": "acme",
        "policy": "default",
        "endpoint": "chat",
        "asked": "gpt",
        "model": "gpt-5",
        "provider": "openai",
        "question": f"What is {number}?",
        "vector": VECTOR,
        "embedder": EMBEDDER,
        "body": b'{"choices":[]}',
        "usage": Usage(12, 34),
        "micro_dollars": 56,
        "stored": NOW + number,
        "fresh_until": NOW + 1800,
        "gone_at": NOW + 3600,
    }
    return Answer(**{**fields, **changes})
