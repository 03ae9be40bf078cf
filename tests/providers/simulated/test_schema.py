"""Made-up values are valid for the schema they were made for; the rest is refused, quickly."""

import time
from itertools import cycle
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # has no types of its own
import pytest

from gateway.providers.simulated.schema import TooComplex, example

SCHEMAS: dict[str, Any] = {
    "anything": {},
    "true": True,
    "a const": {"const": {"a": 1}},
    "an enum": {"enum": ["b", "c"]},
    "an object": {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
        "additionalProperties": False,
    },
    "required without properties": {"type": "object", "required": ["x"]},
    "an empty object": {"type": "object"},
    "no type but properties": {"properties": {"a": {"type": "boolean"}}},
    "a list": {"type": "array", "items": {"type": "number"}, "minItems": 3},
    "no type but items": {"items": {"type": "null"}},
    "a tight string": {"type": "string", "minLength": 30, "maxLength": 31},
    "formats": {"type": "array", "prefixItems": [], "items": {"type": "string", "format": "date"}},
    "a nullable": {"type": ["null", "string"]},
    "only null": {"type": ["null"]},
    "a range": {"type": "integer", "minimum": 5, "maximum": 7},
    "an open range": {"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 3},
    "negative": {"type": "integer", "maximum": -3},
    "a multiple": {"type": "integer", "minimum": 11, "multipleOf": 5},
    "any of": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    "one of": {"oneOf": [{"type": "integer"}, {"type": "string"}]},
    "all of one": {"allOf": [{"type": "boolean"}]},
    "a reference": {
        "$defs": {"a/b": {"type": "integer"}},
        "type": "object",
        "properties": {"x": {"$ref": "#/$defs/a~1b"}},
        "required": ["x"],
    },
    "a list of itself that may be empty": {
        "$defs": {
            "node": {
                "type": "object",
                "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
                "required": [],
            }
        },
        "$ref": "#/$defs/node",
    },
}


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS.keys())
def test_an_example_is_valid(schema: Any) -> None:
    words = cycle(["river", "stone"])
    value = example(schema, lambda: next(words))
    jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    ).validate(value)


def many_lists(depth: int) -> Any:
    inner: Any = {"type": "string"}
    for _ in range(depth):
        inner = {"type": "array", "minItems": 100, "items": inner}
    return inner


REFUSED: dict[str, Any] = {
    "false": False,
    "a pattern": {"type": "string", "pattern": "^a+$"},
    "not": {"not": {}},
    "all of several": {"allOf": [{}, {}]},
    "endless": {"$defs": {"n": {"$ref": "#/$defs/n"}}, "$ref": "#/$defs/n"},
    "a dangling reference": {"$ref": "#/$defs/nowhere"},
    "no such number": {"type": "integer", "minimum": 6, "maximum": 9, "multipleOf": 5},
    "a multiple of zero": {"type": "integer", "multipleOf": 0},
    "a huge text": {"type": "string", "minLength": 10**9},
    "a huge list": {"type": "array", "minItems": 10**9, "items": {"const": 1}},
    "lists of lists of lists": many_lists(10),
    "nonsense bounds": {"type": "integer", "minimum": "low"},
    "null bounds": {"type": "string", "minLength": None},
    "an endless bound": {"type": "integer", "minimum": 1e308, "multipleOf": 1e-308},
}


@pytest.mark.parametrize("schema", REFUSED.values(), ids=REFUSED.keys())
def test_what_it_cannot_promise_is_refused_quickly(schema: Any) -> None:
    started = time.process_time()
    with pytest.raises(TooComplex):
        example(schema, lambda: "river")
    assert time.process_time() - started < 1
