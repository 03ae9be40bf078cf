"""Plain values to structs, finding every misfit: msgspec stops at the first, so we go on for it."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar

import msgspec

from gateway.documents.diagnostic import Key, KeyPath
from gateway.documents.shapes import allowed_values, field_names, suggest, title

MAX_MISFITS: Final = 50

T = TypeVar("T")
Hook = Callable[[type, Any], Any]

_WHERE = re.compile(r"(.*) - at (`key` in )?`\$(.*)`", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[([0-9]+)\]|\[(\.\.\.)\]")
_QUOTED = re.compile("`([^`]*)`")
_POINT_NOUGHT = re.compile(r"(\d)\.0\b")
_TYPE_NAMES: Final[Mapping[str, str]] = {
    "object": "a mapping",
    "array": "a list",
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
}


class Conversion(Generic[T]):
    """One tree on its way to `shape`. `misfits` are paths into the tree and what is wrong there.

    `lost` are the places of what was left out, `torn` those of structs that lost a field.
    """

    def __init__(self, tree: Any, shape: type[T], hook: Hook) -> None:  # noqa: ANN401 - any YAML
        self.misfits: list[tuple[KeyPath, str]] = []
        self.lost: list[KeyPath] = []
        self.torn: set[KeyPath] = set()
        self._tree = tree
        self._shape = shape
        self._hook = hook

    def run(self) -> T | None:
        """Return the struct without what does not fit, or None when nothing is left of it."""
        while len(self.misfits) < MAX_MISFITS:
            try:
                return msgspec.convert(self._tree, self._shape, dec_hook=self._hook)
            except msgspec.ValidationError as error:
                if not self._misfit(str(error)):
                    return None
        return None

    def _misfit(self, message: str) -> bool:
        """Note what the message says and take it out, so that the next misfit can be found."""
        what, key, where = _parts(message)
        path = self._exact(where + ("[...]" if key else ""), message)
        name = _QUOTED.search(what)
        if name and "missing required field" in what:
            self._missing(path, name[1])
        elif name and "unknown field" in what:
            known = field_names(self._shape, self._tree, path)
            unknown = what.partition("`")[2].removesuffix("`")  # it may hold a backtick of its own
            path = (*path, unknown)
            self._note(path, f"there is no such field.{suggest(unknown, known)}")
        elif what.startswith("Invalid") and path:
            known = allowed_values(self._shape, self._tree, path)
            given = str(_get(self._tree, path))
            self._note(path, f"there is no such value.{suggest(given, known)}")
        elif "matching regex" in what and (words := self._title(path, of_key=key)):
            self._note(path, f"this must be {words}.")
        elif not self._emptied(path, what):
            self._note(path, _reword(what))
        if path:
            self._leave_out(path)
        return bool(path)

    def _emptied(self, path: KeyPath, what: str) -> bool:
        """Tell whether a list is too short for what was taken out of it, which is told already."""
        return "length >=" in what and self.original(path) in {lost[:-1] for lost in self.lost}

    def _leave_out(self, path: KeyPath) -> None:
        original = self.original(path)
        if field_names(self._shape, self._tree, path[:-1]):
            self.torn.add(original[:-1])
        self.lost.append(original)
        self._tree = _without(self._tree, path)

    def _title(self, path: KeyPath, *, of_key: bool) -> str:
        return title(self._shape, self._tree, path, of_key=of_key)

    def _missing(self, path: KeyPath, name: str) -> None:
        above = self.original(path)
        if (*above, name) not in self.lost:
            known = allowed_values(self._shape, self._tree, (*path, name))
            self.misfits.append((above, f"`{name}` is missing.{suggest('', known)}"))

    def _note(self, path: KeyPath, text: str) -> None:
        self.misfits.append((self.original(path), text))

    def _exact(self, where: str, message: str) -> KeyPath:
        """Return the path that `where` means; a `[...]`, some key of a mapping, is tried out."""
        path: KeyPath = ()
        for field, index, some in _STEP.findall(where):
            if some:
                keys = list(_get(self._tree, path))
                path = (*path, next(k for k in keys if self._fails(path, k, message)))
            else:
                path = (*path, field or int(index))
        return path

    def _fails(self, path: KeyPath, key: str, message: str) -> bool:
        """Tell whether the same message comes when `key` is all that the mapping holds."""
        only = _with(self._tree, path, {key: _get(self._tree, (*path, key))})
        try:
            msgspec.convert(only, self._shape, dec_hook=self._hook)
        except msgspec.ValidationError as error:
            return str(error) == message
        return False

    def original(self, path: KeyPath) -> KeyPath:
        """Return where in the tree stands what the struct has at `path`: lists may be shorter."""
        result: KeyPath = ()
        for step in path:
            moved = step
            if isinstance(moved, int):
                gone = sorted(p[-1] for p in self.lost if p[:-1] == result)
                for index in gone:
                    moved += isinstance(index, int) and index <= moved
            result = (*result, moved)
        return result


def _parts(message: str) -> tuple[str, bool, str]:
    """Return what is wrong, whether it is a mapping's key that is, and where."""
    found = _WHERE.fullmatch(message)
    return (found[1], bool(found[2]), found[3]) if found else (message, False, "")


def _reword(what: str) -> str:
    """Say msgspec's words for types in YAML's."""
    if not what.startswith("Expected `"):
        return f"{what}." if not what.endswith(".") else what
    wanted, _, got = what.removeprefix("Expected ").partition(", got ")
    plain = _QUOTED.sub(lambda found: _type_name(found[1]), wanted)
    plain = _POINT_NOUGHT.sub(r"\1", plain)
    return f"this must be {plain}{f', not {_type_name(got[1:-1])}' if got else ''}."


def _type_name(text: str) -> str:
    return " or ".join(_TYPE_NAMES.get(part, part) for part in text.split(" | "))


def _get(tree: Any, path: KeyPath) -> Any:  # noqa: ANN401 - any YAML
    for step in path:
        tree = tree[step]
    return tree


def _with(tree: Any, path: KeyPath, value: Any) -> Any:  # noqa: ANN401 - any YAML
    """Return a copy of the tree with `value` at `path`."""
    if not path:
        return value
    copy: Any = tree.copy()
    copy[path[0]] = _with(tree[path[0]], path[1:], value)
    return copy


def _without(tree: Any, path: KeyPath) -> Any:  # noqa: ANN401 - any YAML
    """Return a copy of the tree without what is at `path`."""
    above = _get(tree, path[:-1]).copy()
    step: Key = path[-1]
    del above[step]
    return _with(tree, path[:-1], above)
