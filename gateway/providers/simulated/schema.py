"""The smallest JSON value that satisfies a simple JSON Schema; made-up words fill the strings."""

from collections.abc import Callable, Mapping
from math import ceil, floor
from typing import Any, Final

MAX_DEPTH: Final = 16
MAX_VALUES: Final = 1_000
MAX_TEXT: Final = 1_000
_FORMATS: Final[Mapping[str, str]] = {
    "date": "2024-02-29",
    "date-time": "2024-02-29T12:00:00Z",
    "time": "12:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
}

Json = Any


class TooComplex(ValueError):
    """The schema asks for more than this generator can promise."""


def example(schema: Json, word: Callable[[], str]) -> Json:
    """Return a value valid for `schema`. Raises TooComplex for one that it cannot satisfy."""
    root = schema if isinstance(schema, dict) else {}
    try:
        return _Example(root, word).value(schema, 0)
    except TooComplex:
        raise
    except (TypeError, ValueError, ArithmeticError) as error:
        raise TooComplex("is not a JSON Schema") from error


class _Example:
    def __init__(self, root: Mapping[str, Json], word: Callable[[], str]) -> None:
        self._root = root
        self._word = word
        self._values = 0

    def value(self, schema: Json, depth: int) -> Json:
        self._values += 1
        if depth > MAX_DEPTH or self._values > MAX_VALUES or schema is False:
            raise TooComplex("asks for too much, or allows nothing")
        if not isinstance(schema, dict):
            return self._word()
        if "const" in schema:
            return schema["const"]
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return schema["enum"][0]
        inner = self._elsewhere(schema)
        if inner is not None:
            return self.value(inner, depth + 1)
        return self._of_kind(_kind(schema), schema, depth)

    def _elsewhere(self, schema: Mapping[str, Json]) -> Json | None:
        """Return the schema that this one only points to, if it does."""
        reference = schema.get("$ref")
        if isinstance(reference, str):
            return self._find(reference)
        for name in ("anyOf", "oneOf"):
            if isinstance(schema.get(name), list) and schema[name]:
                return schema[name][0]
        parts = schema.get("allOf")
        if isinstance(parts, list) and len(parts) == 1:
            return parts[0]
        if parts or "pattern" in schema or "not" in schema:
            raise TooComplex("allOf, pattern or not")
        return None

    def _find(self, reference: str) -> Json:
        found: Json = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or name not in found:
                raise TooComplex("a $ref that leads nowhere")
            found = found[name]
        return found

    def _of_kind(self, kind: str, schema: Mapping[str, Json], depth: int) -> Json:
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            items = schema.get("items", {})
            return [self.value(items, depth + 1) for _ in range(int(schema.get("minItems", 1)))]
        if kind == "string":
            return self._text(schema)
        if kind in {"integer", "number"}:
            return _number(schema, whole=kind == "integer")
        return True if kind == "boolean" else None

    def _object(self, schema: Mapping[str, Json], depth: int) -> Json:
        properties = schema.get("properties")
        known = properties if isinstance(properties, dict) else {}
        required = schema.get("required")
        wanted = required if isinstance(required, list) else list(known)
        return {str(name): self.value(known.get(name, {}), depth + 1) for name in wanted}

    def _text(self, schema: Mapping[str, Json]) -> str:
        named = _FORMATS.get(str(schema.get("format")))
        if named is not None:
            return named
        text, least = self._word(), int(schema.get("minLength", 0))
        if least > MAX_TEXT:
            raise TooComplex("asks for a very long text")
        while len(text) < least:
            text += " " + self._word()
        longest = schema.get("maxLength")
        return text if longest is None else text[: int(longest)]


def _kind(schema: Mapping[str, Json]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind is None:
        kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
    return str(kind)


def _number(schema: Mapping[str, Json], *, whole: bool) -> float | int:
    least = max(
        float(schema.get("minimum", "-inf")),
        float(schema.get("exclusiveMinimum", "-inf")) + (1 if whole else 0.5),
    )
    most = min(
        float(schema.get("maximum", "inf")),
        float(schema.get("exclusiveMaximum", "inf")) - (1 if whole else 0.5),
    )
    step = float(schema.get("multipleOf", 1))
    value = min(max(1.0, least), most)
    value = ceil(value / step) * step if value < most else floor(value / step) * step
    if not least <= value <= most:
        raise TooComplex("no such number")
    return int(value) if whole else value
