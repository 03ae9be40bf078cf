"""Text to plain values with line numbers, built from YAML events so that nothing is expanded."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from gateway.documents.diagnostic import Diagnostic, KeyPath

MAX_DEPTH: Final = 32
MAX_SHOWN: Final = 64

_WORDS: Final[Mapping[str, bool | None]] = {
    "": None,
    "~": None,
    "null": None,
    "true": True,
    "false": False,
}
_INT = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]{0,17})\.[0-9]{1,18}")
_PLAIN_NUMBER: Final = "write a plain decimal number, or quote it if it is text"
# What YAML readers read apart, each with what to write instead.
_DOUBTFUL: Final = (
    (re.compile(r"(?i)yes|on"), "write true, or quote it if it is text"),
    (re.compile(r"(?i)no|off"), "write false, or quote it if it is text"),
    (re.compile(r"(?i)true|false|null"), "write true, false or null, or quote it if it is text"),
    (re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"), "quote it, or write seconds"),
    (re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?"), "quote it"),
    (re.compile(r"(?i)[-+]?0[xob]?[0-9a-f_]+"), _PLAIN_NUMBER),
    (re.compile(r"(?i)[-+]?[0-9][0-9_]*\.?[0-9_]*(e[-+]?[0-9]+)?"), _PLAIN_NUMBER),
    (re.compile(r"(?i)[-+]?\.([0-9][0-9_]*(e[-+]?[0-9]+)?|inf|nan)"), _PLAIN_NUMBER),
    (re.compile(r"=|<<"), "quote it; merge keys are not read here"),
)
_URL_WITH_SECRET = re.compile(
    r"(?i)^[a-z][a-z0-9+.-]*://"
    r"([^/?#\s]*@|\S*[?&](api[-_]?key|key|(access[-_]?)?token|secret|password|sig)=)"
)
_LOOKS_SECRET = re.compile(r"\b([st]k-[A-Za-z0-9_-]{16,}|AKIA[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{30,})")


class Reader:
    """Reads one text. `lines` holds the line of every key and item, `problems` what is refused.

    `readable` tells whether the rest may be looked at in spite of them: a value that is doubtful
    or written twice spoils its line only.
    """

    def __init__(self, file: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[Diagnostic] = []
        self.readable = True
        self._file = file
        self._events: Iterator[Any] = iter(())

    def read(self, text: str) -> Any:  # noqa: ANN401 - YAML is any of seven types
        """Return the one document of `text`, None when it is empty."""
        self._events = yaml.parse(text, Loader=yaml.CSafeLoader)
        tree = None
        seen = False
        try:
            for event in self._events:
                if isinstance(event, yaml.DocumentStartEvent):
                    if seen:
                        self._refuse("a file holds one document: remove this `---`.", event)
                        break
                    seen = True
                    tree = self._value(next(self._events), ())
        except yaml.YAMLError as error:
            self._syntax(error)
        except _TooDeep:
            tree = None
        return tree

    def _value(self, event: Any, at: KeyPath) -> Any:  # noqa: ANN401 - yaml has no event types
        if len(at) > MAX_DEPTH:
            self._refuse(f"this is nested deeper than {MAX_DEPTH} levels.", event)
            raise _TooDeep
        if event.anchor is not None:
            self._refuse("anchors and aliases are not read here: write the value out.", event)
            if isinstance(event, yaml.AliasEvent):
                return None
        if event.tag is not None:
            self._refuse("tags are not read here: remove it.", event)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(at)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(at)
        return self._scalar(event)

    def _mapping(self, at: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            known = len(self.problems)
            key = self._value(event, (*at, ""))
            if not isinstance(key, str):
                if known == len(self.problems):
                    self._refuse("a key is text: quote it.", event)
                key = f"\0{len(result)}"
            path = (*at, key)
            if path in self.lines:
                self._spoil(f"{_name(key)} is here twice: see line {self.lines[path]}.", event)
            self.lines.setdefault(path, _line(event))
            value = self._value(next(self._events), path)
            result.setdefault(key, value)
        return result

    def _sequence(self, at: KeyPath) -> list[Any]:
        result: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            path = (*at, len(result))
            self.lines[path] = _line(event)
            result.append(self._value(event, path))
        return result

    def _scalar(self, event: Any) -> Any:  # noqa: ANN401 - yaml has no event types
        text: str = event.value
        if _URL_WITH_SECRET.match(text):
            self._refuse("a URL holds no credentials: give them by env:NAME or file:/path.", event)
        elif _LOOKS_SECRET.search(text):
            self._refuse("this looks like a secret: write env:NAME or file:/path instead.", event)
        if not event.implicit[0]:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INT.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
        for pattern, cure in _DOUBTFUL:
            if pattern.fullmatch(text):
                self._spoil(f"{_name(text)} is read in different ways: {cure}.", event)
                break
        return text

    def _refuse(self, text: str, event: Any) -> None:  # noqa: ANN401 - yaml has no event types
        self.readable = False
        self._spoil(text, event)

    def _spoil(self, text: str, event: Any) -> None:  # noqa: ANN401 - yaml has no event types
        self.problems.append(Diagnostic(self._file, _line(event), text))

    def _syntax(self, error: yaml.YAMLError) -> None:
        self.readable = False
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or "a character that YAML does not allow"
        line = mark.line + 1 if mark is not None else 1
        self.problems.append(Diagnostic(self._file, line, f"this is not YAML: {what}."))


class _TooDeep(Exception):
    """Reading went deeper than MAX_DEPTH."""


def _line(event: Any) -> int:  # noqa: ANN401 - yaml has no event types
    return int(event.start_mark.line) + 1


def _name(text: str) -> str:
    return f"`{text}`" if len(text) <= MAX_SHOWN and text.isprintable() else "this"
