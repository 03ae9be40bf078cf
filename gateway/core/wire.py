"""JSON in and out: the one file that names the JSON library.

`decode_object` is for bytes from strangers: it accepts exactly what a strict reader and a lax
reader would read alike, so that what we looked at is what the provider will see.
"""

import codecs
import json
import re
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, TypeVar

import msgspec

from gateway.core.errors import BadRequest

MAX_DEPTH = 64
MAX_KEYS = 100_000
MAX_VALUES = 1_000_000
MAX_INT_DIGITS = 400
_BIG = 64 << 10

T = TypeVar("T")
Raw = msgspec.Raw

_KEY = re.compile(rb'"[ \t\r\n]*:')
_SURE_KEY = re.compile(rb'"(?<=[^\[,:{ \t\r\n\\]")[ \t\r\n]*:')  # ends a key wherever it stands
_LONG_INT = re.compile(rb"(?<![0-9])[0-9]{%d,}+" % MAX_INT_DIGITS)  # looks at each run once
_STRIDE = 37  # odd, so that it soon meets the commas of any list of numbers
_MAYBE_LONG = re.compile(rb"[0-9]{%d}" % (MAX_INT_DIGITS // _STRIDE))
_WHITE = b" \t\r\n"
_NUMBER = b"0123456789+-.eE"
_TRUNCATED = "Input data was truncated"  # what msgspec says of the beginning of something good
_skimmer = msgspec.json.Decoder(msgspec.Raw)
_any_decoder = msgspec.json.Decoder()
_raw_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encoder = msgspec.json.Encoder()

encode = _encoder.encode
encode_sorted = msgspec.json.Encoder(order="sorted").encode
"""Writes equal content as equal bytes, whatever order its keys came in."""


def decoder(shape: type[T]) -> "msgspec.json.Decoder[T]":
    """Return a reusable decoder of `shape`, for bytes that we or a provider wrote."""
    return msgspec.json.Decoder(shape)


def decode(data: bytes | str) -> Any:  # noqa: ANN401 - JSON is any of six types
    """Read provider or own JSON. Raises `ValueError` when it is not JSON."""
    try:
        return _any_decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError("not JSON") from error


def decode_as(data: bytes | str, shape: type[T]) -> T:
    """Read provider or own JSON as `shape`. Raises `ValueError` when it does not fit."""
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError("JSON of another shape") from error


def json_schema(
    shape: Any,  # noqa: ANN401 - any type msgspec knows
    other: Callable[[type], dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a struct or union; `other` says what else there is."""
    return msgspec.json.schema(shape, schema_hook=other)


def encode_pretty(value: object) -> str:
    """Return JSON for people: indented, one field a line."""
    return msgspec.json.format(_encoder.encode(value), indent=2).decode()


def decode_object(body: bytes) -> dict[str, Any]:
    """Read a stranger's JSON object.

    Raises BadRequest (code `invalid_json`) for anything but one UTF-8 object without duplicate
    keys, non-finite numbers, lone surrogates, depth over 64, over 100,000 keys, over a million
    values or integers of 400 digits; a body over 100 KB must begin within 64 KiB. The text never
    repeats the input.
    """
    if len(body) > MAX_KEYS:
        _refuse_hopeless(body)
    if len(body) > MAX_VALUES and body.count(b",") > MAX_VALUES:
        raise _invalid("too many values")
    if len(body) > MAX_KEYS and body.count(b":") > MAX_KEYS:
        _refuse_many_keys(body)
    try:
        _refuse_long_numbers(body)
        tree = _any_decoder.decode(body)
    except UnicodeDecodeError as error:
        raise _invalid("not UTF-8") from error
    except RecursionError as error:
        raise _invalid("nested too deeply") from error
    except msgspec.ValidationError as error:
        raise _invalid("a number is out of range") from error
    except msgspec.DecodeError as error:
        raise _invalid("not valid JSON") from error
    if not isinstance(tree, dict):
        raise _invalid("not a JSON object")
    if not _plainly_fine(body, tree):
        _check_keys(body, tree)
    return tree


def replace_fields(body: bytes, changes: Mapping[str, Any]) -> bytes:
    """Return the object `body` with top-level `changes`; `None` removes, all else stays as sent.

    Values that do not change keep their very bytes. `body` must be a JSON object.
    """
    fields = _raw_fields.decode(body)
    for name, value in changes.items():
        if value is None:
            fields.pop(name, None)
        else:
            fields[name] = msgspec.Raw(_encoder.encode(value))
    return _encoder.encode(fields)


def _invalid(reason: str) -> BadRequest:
    return BadRequest(
        f"The request body is {reason}."
        if reason.startswith("not")
        else f"The request body is refused: {reason}.",
        code="invalid_json",
    )


def _refuse_hopeless(body: bytes) -> None:
    """Refuse a big body whose first 64 KiB or whose end tell, before all of it is looked through.

    A number that is cut off looks broken, so the beginning ends before one.
    """
    first = body[:_BIG]
    if not first.lstrip(_WHITE).startswith(b"{"):
        raise _invalid("not a JSON object")
    last = body[-_BIG:].rstrip(_WHITE)
    if last and not last.endswith(b"}"):
        raise _invalid("not valid JSON")
    try:
        codecs.utf_8_decode(first, "strict", False)  # the last character may be cut off as well
        _skimmer.decode(first.rstrip(_NUMBER))
    except UnicodeDecodeError as error:
        raise _invalid("not UTF-8") from error
    except RecursionError as error:
        raise _invalid("nested too deeply") from error
    except msgspec.DecodeError as error:
        if str(error) != _TRUNCATED:
            raise _invalid("not valid JSON") from error


def _refuse_many_keys(body: bytes) -> None:
    """Refuse before decoding what surely has too many keys; what is not sure is counted later.

    Like `_refuse_long_numbers` it takes a piece at a time: one search through a big body would
    stop the event loop for as long as it takes, also from a worker thread.
    """
    keys = 0
    for start in range(0, len(body), _BIG):
        keys += len(_SURE_KEY.findall(body, start, start + _BIG))
        if keys > MAX_KEYS:
            raise _invalid("too many keys")


def _refuse_long_numbers(body: bytes) -> None:
    """Refuse a number whose conversion takes quadratic time; digits in a text are harmless.

    Every 37th byte tells whether a long run of digits is possible. Where there is one, a letter in
    its place is still JSON inside a text and nowhere else. Raises as decoding does, and BadRequest.
    """
    if len(body) < _BIG and not _MAYBE_LONG.search(body[::_STRIDE]):
        return
    marked = bytearray()
    for start in range(0, len(body), _BIG):
        piece = body[start : start + _BIG + MAX_INT_DIGITS]
        if _MAYBE_LONG.search(piece[::_STRIDE]):
            for run in _LONG_INT.finditer(piece):
                if not marked:
                    _refuse_outside_text(body, start + run.start())
                    marked = bytearray(body)
                marked[start + run.start()] = ord("x")
    if marked:
        try:
            _any_decoder.decode(marked)
        except msgspec.DecodeError as error:
            raise _invalid("a number has too many digits") from error


def _refuse_outside_text(body: bytes, place: int) -> None:
    """Refuse the first long run of digits where it stands, unless it stands in a text."""
    try:
        _skimmer.decode(body[:place] + b"x")
    except msgspec.DecodeError as error:
        if str(error) != _TRUNCATED:
            raise _invalid("a number has too many digits") from error


def _plainly_fine(body: bytes, tree: dict[str, Any]) -> bool:
    r"""Return True when a small body is surely neither nested too deeply nor has a key twice.

    Without \u escapes a colon is the same byte before and after a re-encoding, in text and after
    keys; a key that was swallowed takes its colon along.
    """
    if len(body) >= _BIG or body.count(b"{") + body.count(b"[") > MAX_DEPTH:
        return False
    plain = _encoder.encode(tree)
    return plain == body or (b"\\u" not in body and plain.count(b":") == body.count(b":"))


def _check_keys(body: bytes, tree: dict[str, Any]) -> None:
    """Raise BadRequest for too many keys, a key twice in one object, or too deep nesting."""
    keys = _count_keys(tree)
    if keys > MAX_KEYS:
        raise _invalid("too many keys")
    # Every key's closing quote matches _KEY, so equal counts prove that no key was swallowed.
    if _count_marks(body, keys + 1) != keys:
        _refuse_duplicates(body)


def _count_keys(tree: dict[str, Any]) -> int:
    """Count the keys of all objects; raise when nesting passes MAX_DEPTH."""
    keys = 0
    level: list[Any] = [tree]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for node in level:
            if isinstance(node, dict):
                keys += len(node)
                below += [child for child in node.values() if isinstance(child, (dict, list))]
            else:
                below += [child for child in node if isinstance(child, (dict, list))]
        if not below:
            return keys
        level = below
    raise _invalid("nested too deeply")


def _count_marks(body: bytes, most: int) -> int:
    """Count what looks like the end of a key; in a big body only up to `most`, to save memory."""
    if len(body) < _BIG:
        return len(_KEY.findall(body))
    return sum(1 for _ in islice(_KEY.finditer(body), most))


def _refuse_duplicates(body: bytes) -> None:
    """Settle the rare case in which text looks like a key: read again, watching every object."""

    def unique(pairs: list[tuple[str, Any]]) -> None:
        if len({name for name, _ in pairs}) != len(pairs):
            raise _invalid("a key appears twice in one object")

    json.loads(body, object_pairs_hook=unique)
