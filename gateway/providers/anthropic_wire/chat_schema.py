"""JSON Schemas as Anthropic's structured output takes them."""

from collections.abc import Mapping
from typing import Any, Final

_FORMATS: Final = frozenset(
    ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"]
)
_UNSUPPORTED: Final = frozenset(
    {
        "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
        "minLength", "maxLength", "maxItems", "uniqueItems", "contains", "minContains",
        "maxContains", "minProperties", "maxProperties", "patternProperties", "propertyNames",
        "if", "then", "else", "not", "dependentRequired", "dependentSchemas",
        "unevaluatedItems", "unevaluatedProperties",
    }
)  # fmt: skip
_ONE: Final = frozenset({"items", "additionalItems", "contentSchema"})
_LISTS: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_MAPS: Final = frozenset({"properties", "$defs", "definitions"})


def strict_schema(schema: Mapping[str, Any]) -> tuple[dict[str, Any], frozenset[str]]:
    """Return a schema that Anthropic takes, and the keywords that it therefore does not enforce.

    Objects are closed (`additionalProperties: false`); a keyword that is left out is said in the
    description instead, so that the model may still heed it.
    """
    lost: set[str] = set()
    return _object(schema, lost), frozenset(lost)


def _object(schema: Mapping[str, Any], lost: set[str]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    unsaid: list[str] = []
    for keyword, value in schema.items():
        if _is_unsupported(keyword, value):
            lost.add(keyword)
            unsaid.append(f"{keyword}: {value}")
        elif keyword == "oneOf":
            kept["anyOf"] = _below(keyword, value, lost)
        else:
            kept[keyword] = _below(keyword, value, lost)
    if _is_object(schema) and kept.get("additionalProperties", True) is True:
        kept["additionalProperties"] = False
    if unsaid:
        said = kept.get("description")
        head = f"{said}\n\n" if isinstance(said, str) else ""
        kept["description"] = head + "{" + ", ".join(unsaid) + "}"
    return kept


def _is_unsupported(keyword: str, value: object) -> bool:
    if keyword == "format":
        return not isinstance(value, str) or value not in _FORMATS
    if keyword == "minItems":
        return value not in (0, 1)
    return keyword in _UNSUPPORTED


def _is_object(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind)


def _below(keyword: str, value: object, lost: set[str]) -> object:
    if keyword in _ONE and isinstance(value, dict):
        return _object(value, lost)
    if keyword in _LISTS and isinstance(value, list):
        return [_object(item, lost) if isinstance(item, dict) else item for item in value]
    if keyword in _MAPS and isinstance(value, dict):
        return {
            name: _object(item, lost) if isinstance(item, dict) else item
            for name, item in value.items()
        }
    return value
