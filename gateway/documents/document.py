"""A file's content as typed structs; secrets are read here and nowhere else."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from gateway.core.secret import Secret
from gateway.core.text_file import TextFile
from gateway.documents.conversion import Conversion
from gateway.documents.diagnostic import Diagnostic, Invalid, KeyPath, Severity
from gateway.documents.reader import Reader

MAX_SIZE: Final = 1 << 20
MAX_SECRET: Final = 64 << 10
MAX_BESIDE: Final = 4 << 20
"""Bytes of a file that a YAML file names."""

T = TypeVar("T")

_KEY = re.compile(r"[\x20-\x7e]+")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BESIDE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.json")


class Document:
    """One file's content with the line of every key. `problems` grows as it is looked at.

    On the line of a problem that it is made with nothing else is reported: what stands there may
    have been meant otherwise.
    """

    def __init__(
        self,
        file: str,
        tree: Any,  # noqa: ANN401 - YAML is any of seven types
        lines: Mapping[KeyPath, int],
        environment: Mapping[str, str],
        problems: Sequence[Diagnostic] = (),
    ) -> None:
        self.file = file
        self.tree = {} if tree is None else tree
        self.problems: list[Diagnostic] = list(problems)
        self._lines = lines
        self._environment = environment
        self._spoiled = {problem.line for problem in problems}
        self._conversion: Conversion[Any] | None = None

    def report(
        self, at: KeyPath, what: str, severity: Severity = "error", *, alone: bool = False
    ) -> Diagnostic:
        """Return a problem at `at` of what `convert` gave, or at the nearest written place above.

        It is noted too, unless it may only be one because something that belongs to it did not
        fit: a field beside it too, but where the problem stands `alone`.
        """
        torn: Collection[KeyPath] = ()
        if self._conversion is not None:
            at, torn = self._conversion.original(at), self._conversion.torn
        problem = self._problem(at, what, severity)
        if not self._lost(at) and (alone or at[:-1] not in torn):
            self.problems.append(problem)
        return problem

    def lost(self, at: KeyPath = ()) -> bool:
        """Tell whether anything of what `convert` gave at `at` did not fit or was refused."""
        return self._lost(self._conversion.original(at) if self._conversion else at)

    def names(self, field: str) -> Collection[str] | None:
        """Return the keys of the mapping `field`, also of entries that do not fit.

        None when they cannot be known: it is not there, perhaps only because of another name.
        """
        found = self.tree.get(field) if isinstance(self.tree, dict) else None
        if isinstance(found, dict):
            return found
        return None if self.lost() else ()

    def _lost(self, at: KeyPath) -> bool:
        lost = self._conversion.lost if self._conversion else ()
        if any(at == place[: len(at)] or place == at[: len(place)] for place in lost):
            return True
        return self._line(at) in self._spoiled if at else bool(self._spoiled)

    def _problem(self, at: KeyPath, what: str, severity: Severity = "error") -> Diagnostic:
        name = _dotted(at)
        text = f"{name}: {what}" if name else what
        return Diagnostic(self.file, self._line(at), text, severity)

    def _line(self, at: KeyPath) -> int:
        written = at
        while written and written not in self._lines:
            written = written[:-1]
        return self._lines.get(written, 1)

    def convert(self, shape: type[T]) -> T | None:
        """Return as `shape` what fits, None when nothing does; report what does not."""
        conversion = Conversion(self.tree, shape, self._read_other)
        result = conversion.run()
        found = (self._problem(path, what) for path, what in conversion.misfits)
        self.problems += [problem for problem in found if problem.line not in self._spoiled]
        self._conversion = conversion
        return result

    def _read_other(self, shape: type, given: object) -> Secret | TextFile:
        """Serve msgspec, which asks for the types of ours that it does not know."""
        if shape is TextFile:
            return read_beside(given, Path(self.file).parent)
        return read_secret(given, self._environment)


def load_document(path: Path, environment: Mapping[str, str]) -> Document:
    """Read a file strictly. Raises Invalid with every problem of its YAML when it is unreadable."""
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
    if not reader.readable:
        raise Invalid(reader.problems)
    return Document(file, tree, reader.lines, environment, reader.problems)


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


def read_beside(given: object, folder: Path) -> TextFile:
    """Return the file of that name in `folder`. Raises ValueError where it cannot be read."""
    if not isinstance(given, str) or not _BESIDE.fullmatch(given):
        raise ValueError("this must be the name of a .json file in the same folder")
    try:
        with (folder / given).open("rb") as file:
            data = file.read(MAX_BESIDE + 1)
        text = data.decode()
    except OSError as error:
        raise ValueError(f"{given} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{given} is not UTF-8 text") from error
    if len(data) > MAX_BESIDE:
        raise ValueError(f"{given} is larger than 4 MiB")
    return TextFile(given, text)


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
