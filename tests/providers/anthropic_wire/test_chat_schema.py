"""What a JSON Schema becomes for Anthropic's structured output."""

from typing import Any

import pytest

from gateway.providers.anthropic_wire.chat_schema import strict_schema


def test_every_object_is_closed_however_deep() -> None:
    inner = {"type": ["object", "null"], "properties": {}}
    schema = {
        "type": "object",
        "properties": {"a": {"type": "array", "items": inner}, "b": {"anyOf": [inner, True]}},
        "$defs": {"C": inner},
        "additionalProperties": True,
    }
    closed = {**inner, "additionalProperties": False}
    assert strict_schema(schema) == (
        {
            "type": "object",
            "properties": {
                "a": {"type": "array", "items": closed},
                "b": {"anyOf": [closed, True]},
            },
            "$defs": {"C": closed},
            "additionalProperties": False,
        },
        frozenset(),
    )


def test_a_map_is_left_to_the_upstream_to_refuse() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "string"}}
    assert strict_schema(schema)[0] == schema


def test_what_cannot_be_enforced_is_said_instead() -> None:
    schema = {"type": "integer", "minimum": 1, "maximum": 9, "description": "A digit."}
    assert strict_schema(schema) == (
        {"type": "integer", "description": "A digit.\n\n{minimum: 1, maximum: 9}"},
        frozenset({"minimum", "maximum"}),
    )


@pytest.mark.parametrize(
    ("schema", "kept"),
    [
        ({"type": "string", "format": "date"}, True),
        ({"type": "string", "format": "phone"}, False),
        ({"type": "string", "format": ["date"]}, False),
        ({"type": "array", "minItems": 1}, True),
        ({"type": "array", "minItems": 2}, False),
        ({"type": "array", "minItems": [1]}, False),
        ({"type": "string", "pattern": "^a"}, True),
    ],
)
def test_formats_and_counts_stay_where_they_are_known(schema: dict[str, Any], kept: bool) -> None:
    assert (strict_schema(schema)[0] == schema) is kept


def test_a_property_named_like_a_keyword_is_a_property() -> None:
    schema = {
        "type": "object",
        "properties": {"minimum": {"type": "string"}, "not": False},
        "required": ["minimum"],
        "additionalProperties": False,
    }
    assert strict_schema(schema) == (schema, frozenset())


def test_one_of_becomes_any_of() -> None:
    schema = {"oneOf": [{"type": "string"}, {"type": "null"}]}
    assert strict_schema(schema)[0] == {"anyOf": schema["oneOf"]}
