"""What JSON Schema can say of the YAML files beyond the types of their fields."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.core.limits import DIMENSIONS, KINDS, LONGEST
from gateway.stages.failover.params import FIXED

Schema = Mapping[str, Any]

_DURATION: Final = "^(?=0*[1-9])[0-9]{1,9}[smhd]$"
_LABEL: Final = "^label:[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_ADDRESS: Final = r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]*):[0-9]{1,5}$"
_CREDENTIALS: Final = "(^|-)(authorization|cookie|key|secret|token|password)(-|$)"
_HEADER: Final = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"


def _given(field: str) -> Schema:
    """Require the field to be there with a value."""
    return {"required": [field], "properties": {field: {"not": {"enum": [None, ""]}}}}


def _none(*fields: str) -> Schema:
    return {"not": {"anyOf": [_given(field) for field in fields]}}


_LIMIT: Final[Schema] = {
    "oneOf": [_given(kind) for kind in KINDS],
    "allOf": [
        {
            "if": _given("concurrent"),
            "then": _none("every", "each", "burst", "zone"),
            "else": {"oneOf": [_given("every"), _given("each")]},
        },
        {"if": _given("zone"), "then": _given("each")},
        {"if": _given("burst"), "then": _given("every")},
    ],
}
_SPREAD: Final[Schema] = {
    "if": {"required": ["sticky"], "properties": {"sticky": {"const": True}}},
    "then": {
        "required": ["strategy"],
        "properties": {"strategy": {"enum": ["balanced", "weighted"]}},
    },
}
_PROMPT: Final[Schema] = {
    "if": _given("prompt"),
    "then": _given("model"),
    "else": _none("model"),
}

OF_STRUCTS: Final[Mapping[str, Schema]] = {
    "PolicyFile": {"minProperties": 1},
    "LimitRule": _LIMIT,
    "FailoverPolicy": _SPREAD,
    "Warmup": _PROMPT,
}
"""What holds between the fields of a struct."""

OF_FIELDS: Final[Mapping[tuple[str, str], Schema]] = {
    ("LimitRule", "every"): {
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST},
            {"type": "string", "pattern": _DURATION},
            {"type": "null"},
        ]
    },
    ("LimitRule", "per"): {
        "items": {"anyOf": [{"enum": list(DIMENSIONS)}, {"type": "string", "pattern": _LABEL}]},
        "uniqueItems": True,
    },
    ("When", "header"): {
        "propertyNames": {"pattern": "^[^A-Z]*$", "not": {"pattern": _CREDENTIALS}}
    },
    ("TargetPolicy", "params"): {"propertyNames": {"not": {"enum": sorted(FIXED)}}},
    ("OpenAIConfig", "headers"): {
        "propertyNames": {"pattern": _HEADER},
        "additionalProperties": {"type": "string", "pattern": "^[\\t\\x20-\\x7e]*$"},
    },
    ("GatewayFile", "listen"): {"pattern": _ADDRESS},
    ("GatewayFile", "admin"): {"pattern": _ADDRESS},
}
"""What a field's type leaves open."""


def with_rules(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a file with all that is said here of the structs in it."""
    shapes = {
        name: {**shape, **OF_STRUCTS.get(name, {})} for name, shape in schema["$defs"].items()
    }
    for (name, field), rule in OF_FIELDS.items():
        if name in shapes:
            fields = shapes[name]["properties"]
            shapes[name]["properties"] = {**fields, field: {**fields[field], **rule}}
    return {**schema, "$defs": shapes}
