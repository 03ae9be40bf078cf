"""A file's content as typed structs; secrets are read here and nowhere else."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from gateway.core.secret import Secret
from gateway.documents.conversion import Conversion
from gateway.documents.diagnostic import Diagnostic, Invalid, KeyPath, Severity
from gateway.documents.reader import Reader

MAX_SIZE: Final = 1 << 20
MAX_SECRET: Final = 64 << 10

T = TypeVar("T")

_KEY = re.compile(r"[\x20-\x7e]+")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Document:
    """One file's content with the line of every key. `problems` grows as it is converted."""

    def __init__(
        self,
        file: str,
        tree: Any,  # noqa: ANN401 - YAML is any of seven types
        lines: Mapping[KeyPath, int],
        environment: Mapping[str, str],
    ) -> None:
        self.file = file
        self.tree = {} if tree is None else tree
        self.problems: list[Diagnostic] = []
        self._lines = lines
        self._environment = environment

    def report(self, at: KeyPath, what: str, severity: Severity = "error") -> Diagnostic:
        """Note and return a problem at `at`, or at the nearest written place above it."""
        written = at
        while written and written not in self._lines:
            written = written[:-1]
        name = _dotted(at)
        text = f"{name}: {what}" if name else what
        line = self._lines.get(written, 1)
        problem = Diagnostic(self.file, line, text, severity)
        self.problems.append(problem)
        return problem

    def convert(self, shape: type[T], at: KeyPath = ()) -> T | None:
        """Return what stands at `at` as `shape`, or None after reporting all that does not fit."""
        tree = self.tree
        for step in at:
            tree = tree[step]
        conversion = Conversion(tree, shape, self._read_secret)
        result = conversion.run()
        for path, what in conversion.misfits:
            self.report((*at, *path), what)
        return result

    def _read_secret(self, _shape: type, given: object) -> Secret:
        """Serve msgspec, which asks for the one type of ours that it does not know."""
        return read_secret(given, self._environment)


def load_document(path: Path, environment: Mapping[str, str]) -> Document:
    """Read a file strictly. Raises Invalid with every problem of its YAML."""
    file = str(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Invalid([Diagnostic(file, 0, f"cannot be read: {error.strerror}.")]) from error
    if len(data) > MAX_SIZE:
        raise Invalid([Diagnostic(file, 0, "is larger than 1 MiB.")])
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Invalid([Diagnostic(file, line, "this is not UTF-8 text.")]) from error
    reader = Reader(file)
    tree = reader.read(text)
    if reader.problems:
        raise Invalid(reader.problems)
    return Document(file, tree, reader.lines, environment)


def read_secret(given: object, environment: Mapping[str, str]) -> Secret:
    """Return the secret that `env:NAME` or `file:/path` points to. Raises ValueError for others.

    The text of the error never repeats what was given: it may be the secret itself.
    """
    source = given if isinstance(given, str) else ""
    place, _, name = source.partition(":")
    if place == "env" and _ENV_NAME.fullmatch(name):
        return _secret(environment.get(name, ""), source, "is not set")
    if place == "file" and name.startswith("/"):
        try:
            with Path(name).open(encoding="utf-8") as file:
                text = file.read(MAX_SECRET)
        except OSError as error:
            return Secret(None, source, f"cannot be read: {error.strerror}")
        except UnicodeDecodeError:
            return Secret(None, source, "is not UTF-8 text")
        return _secret(text, source, "is empty")
    raise ValueError(
        "a secret stays out of this file: write env:NAME or file:/path, not the secret itself"
    )


def _secret(text: str, source: str, missing: str) -> Secret:
    value = text.strip()
    if value and not _KEY.fullmatch(value):
        raise ValueError(
            f"{source} holds something that cannot be a key: only visible ASCII characters on one"
            " line can be sent as one. Set it to the key alone"
        )
    return Secret(value or None, source, missing)


def _dotted(path: KeyPath) -> str:
    """Return a path as people write it: `providers.openai.base_url`, `pipeline[0]`."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(steps).removeprefix(".")
