"""What a struct would have accepted: names for suggestions, found by walking its types."""

import difflib
from collections.abc import Collection, Iterator
from typing import Any, Final

from msgspec import inspect

from gateway.documents.diagnostic import KeyPath

MAX_LISTED: Final = 16


def field_names(shape: Any, tree: Any, path: KeyPath) -> list[str]:  # noqa: ANN401 - any type
    """Return the fields that a mapping at `path` may have; `tree` settles which kind it is."""
    return [
        field.encode_name
        for kind in _walk(inspect.type_info(shape), tree, path)
        if isinstance(kind, inspect.StructType)
        for field in kind.fields
    ]


def allowed_values(shape: Any, tree: Any, path: KeyPath) -> list[str]:  # noqa: ANN401 - any type
    """Return the values that may stand at `path`: of a literal, or the tags of a union."""
    root = inspect.type_info(shape)
    tags = [
        str(kind.tag)
        for kind in _walk(root, None, path[:-1])
        if isinstance(kind, inspect.StructType) and kind.tag_field == path[-1]
    ]
    return tags or [
        str(value)
        for kind in _walk(root, tree, path)
        if isinstance(kind, inspect.LiteralType)
        for value in kind.values
    ]


def title(shape: Any, tree: Any, path: KeyPath, *, of_key: bool = False) -> str:  # noqa: ANN401 - any type
    """Return in words what text must be at `path`, or as the key that ends it; empty if unsaid."""
    above = path[:-1] if of_key else path
    for kind in _walk(inspect.type_info(shape), tree, above):
        named = kind.key_type if of_key and isinstance(kind, inspect.DictType) else kind
        if isinstance(named, inspect.Metadata) and named.extra_json_schema:
            said = named.extra_json_schema.get("title", "")
            if said:
                return str(said)
    return ""


def suggest(given: str, known: Collection[str]) -> str:
    """Return ` Did you mean ...?`, or what there is to choose from, or nothing."""
    close = difflib.get_close_matches(given, known, n=1, cutoff=0.6)
    if close:
        return f" Did you mean `{close[0]}`?"
    if 0 < len(known) <= MAX_LISTED:
        return f" Known: {', '.join(f'`{name}`' for name in sorted(known))}."
    return ""


def _walk(kind: inspect.Type, tree: Any, path: KeyPath) -> Iterator[inspect.Type]:  # noqa: ANN401 - any YAML
    """Yield the types that could stand at `path`, unions taken apart."""
    if isinstance(kind, inspect.Metadata):
        if not path:
            yield kind  # its words, and the bare type after them
        yield from _walk(kind.type, tree, path)
    elif isinstance(kind, inspect.UnionType):
        for option in kind.types:
            if not _excluded(option, tree):
                yield from _walk(option, tree, path)
    elif not path:
        yield kind
    else:
        below = _step(kind, path[0])
        if below is not None:
            yield from _walk(below, _child(tree, path[0]), path[1:])


def _excluded(kind: inspect.Type, tree: Any) -> bool:  # noqa: ANN401 - any YAML
    """Tell whether the tree's own tag says that it is another kind of struct."""
    if not isinstance(kind, inspect.StructType) or kind.tag_field is None:
        return False
    given = _child(tree, kind.tag_field)
    return given is not None and given != kind.tag


def _step(kind: inspect.Type, step: str | int) -> inspect.Type | None:
    if isinstance(kind, inspect.StructType):
        return next((f.type for f in kind.fields if f.encode_name == step), None)
    if isinstance(kind, inspect.DictType):
        return kind.value_type
    if isinstance(kind, inspect.CollectionType):
        return kind.item_type
    return None


def _child(tree: Any, step: str | int) -> Any:  # noqa: ANN401 - any YAML
    if isinstance(tree, dict):
        return tree.get(step)
    if isinstance(tree, list) and isinstance(step, int) and step < len(tree):
        return tree[step]
    return None
