"""Names with `*` in them: the one kind of pattern that the YAML files know."""

from collections.abc import Callable, Collection

Matches = Callable[[str], bool]


def matcher(patterns: Collection[str]) -> Matches:
    """Return whether a text is one of `patterns`, in which `*` stands for any text, also none.

    The time it takes grows with the text's length only, whoever wrote the text.
    """
    plain = frozenset(pattern for pattern in patterns if "*" not in pattern)
    globs = [_glob(pattern) for pattern in patterns if "*" in pattern]
    if not globs:
        return plain.__contains__

    def matches(text: str) -> bool:
        return text in plain or any(fits(text) for fits in globs)

    return matches


def _glob(pattern: str) -> Matches:
    head, *middle, tail = pattern.split("*")

    def fits(text: str) -> bool:
        at, end = len(head), len(text) - len(tail)
        if at > end or not text.startswith(head) or not text.endswith(tail):
            return False
        for part in middle:
            found = text.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True

    return fits
