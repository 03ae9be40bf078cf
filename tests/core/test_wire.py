"""Strangers' JSON is read strictly, quickly, and to what every other reader sees."""

import json
import sys
import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import wire
from gateway.core.errors import BadRequest

SECRET = "hunter2"
QUICK = 1.0
"""Far above the 20 ms asked for: only a blow-up may fail this on a busy machine."""

REFUSED: dict[str, bytes] = {
    "empty": b"",
    "blank": b"  \n",
    "an array": b"[1]",
    "a string": b'"x"',
    "a bare number": b"1",
    "null": b"null",
    "cut off": b'{"a":"hunter2"',
    "two objects": b'{"a":1}{"b":2}',
    "something after it": b'{"a":1} hunter2',
    "a trailing comma": b'{"a":1,}',
    "a comment": b'{"a":1 /* hunter2 */}',
    "single quotes": b"{'a':1}",
    "a bare key": b"{a:1}",
    "a control character": b'{"a":"x\ny"}',
    "a bad escape": b'{"a":"\\x41"}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":Infinity}',
    "-Infinity": b'{"a":-Infinity}',
    "1e999": b'{"a":1e999}',
    "-1e999": b'{"a":[-1e999]}',
    "a leading zero": b'{"a":012}',
    "a leading plus": b'{"a":+1}',
    "hexadecimal": b'{"a":0x10}',
    "the same key twice": b'{"a":1,"a":2}',
    "the same key twice, escaped": b'{"a":1,"\\u0061":2}',
    "the same key twice, far below": b'{"x":[{"y":{"a":1,"b":2,"a":3}}]}',
    "the same key twice behind text like a key": b'{"t":"\\"a\\":","a":1,"a":2}',
    "the empty key twice": b'{"":1,"":2}',
    "a BOM": b'\xef\xbb\xbf{"a":1}',
    "a lone high surrogate": b'{"a":"\\ud800"}',
    "a lone low surrogate": b'{"a":"\\udc00"}',
    "a lone surrogate as key": b'{"\\ud800":1}',
    "surrogates in the wrong order": b'{"a":"\\udc00\\ud800"}',
    "a surrogate in UTF-8": b'{"a":"\xed\xa0\x80"}',
    "invalid UTF-8": b'{"a":"\xff"}',
    "invalid UTF-8 as key": b'{"\xff":1}',
    "overlong UTF-8": b'{"a":"\xc0\xaf"}',
    "cut UTF-8": b'{"a":"\xe2\x82"}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "UTF-16 without BOM": '{"a":1}'.encode("utf-16-le"),
    "UTF-32": '{"a":1}'.encode("utf-32"),
    "depth 65": b'{"a":' * 65 + b"1" + b"}" * 65,
    "depth 65 of lists": b'{"a":' + b"[" * 64 + b"]" * 64 + b"}",
    "depth 100,000": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "depth 100,000, never closed": b'{"a":' * 100_000,
    "a 5000-digit integer": b'{"a":' + b"9" * 5000 + b"}",
    "a 5000-digit integer below": b'{"a":[{"b":-' + b"9" * 5000 + b"}]}",
    "a 5000-digit fraction": b'{"a":0.' + b"9" * 5000 + b"}",
    "over 100,000 keys": b"{%s}" % b",".join(b'"%d":1' % i for i in range(100_001)),
    "over 100,000 keys below": b'{"a":[%s]}' % b",".join([b'{"a":1}'] * 100_001),
    "over 100,000 keys, blanks before the colons": b"{%s}"
    % b",".join(b'"%d" :1' % i for i in range(100_001)),
    "a 400-digit integer": b'{"a":' + b"9" * 400 + b"}",
    "a long integer after a long text": b'{"a":"' + b"9" * 70_000 + b'","b":' + b"9" * 400 + b"}",
    "over a million values": b'{"a":[%s]}' % b",".join([b"1"] * 1_000_002),
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_plain_json_is_refused_quickly_without_an_echo(body: bytes) -> None:
    started = time.monotonic()
    with pytest.raises(BadRequest) as caught:
        wire.decode_object(body)
    assert time.monotonic() - started < QUICK
    error = caught.value
    assert (error.status, error.code) == (400, "invalid_json")
    assert error.public.startswith("The request body is ")
    assert SECRET not in error.public
    assert SECRET not in str(error)
    assert len(error.public) < 100


ACCEPTED: dict[str, bytes] = {
    "nothing": b"{}",
    "white space": b' \t\r\n{ "a" : 1 } \n',
    "depth 64": b'{"a":' * 64 + b"1" + b"}" * 64,
    "100,000 keys": b"{%s}" % b",".join(b'"%d":1' % i for i in range(100_000)),
    "many messages": json.dumps({"m": [{"role": "user", "content": "x"}] * 20_000}).encode(),
    "a surrogate pair": b'{"a":"\\ud83d\\ude00"}',
    "non-characters and NUL": b'{"a":"\\u0000\\uffff"}',
    "a big integer": b'{"a":%d}' % 2**100,
    "a tiny number": b'{"a":1e-400}',
    "minus zero": b'{"a":-0.0}',
    "the same key in two objects": b'{"a":{"k":1},"b":{"k":2}}',
    "text that looks like a key": b'{"a":"\\"a\\":1, \\"a\\":2"}',
    "keys with colons": b'{"a\\":":1,"b":"\\":"}',
    "a long number inside text": b'{"a":"' + b"9" * 5000 + b'"}',
    "a long number behind an escaped quote": b'{"a":"\\"' + b"9" * 5000 + b'"}',
    "a 399-digit integer": b'{"a":-' + b"9" * 399 + b"}",
    "100,001 keys in a text": b'{"a":"' + b'\\"k\\":1,' * 100_001 + b'"}',
    "100,001 texts that begin with a colon": b'{"a":[%s]}' % b",".join([b'":","  :"'] * 100_001),
    "commas in text": b'{"a":"' + b"," * 900_000 + b'"}',
}


@pytest.mark.parametrize("body", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_plain_json_reads_to_what_the_standard_library_sees(body: bytes) -> None:
    assert wire.decode_object(body) == json.loads(body)


class Unread(bytes):
    """A body that nobody may look through."""

    def count(self, *_: object) -> int:
        raise AssertionError("it was looked through")


MIB = 1 << 20
HOPELESS: dict[str, bytes] = {
    "no JSON": b"x" * MIB,
    "white space": b" " * MIB,
    "a list": b"[" + b"1," * MIB + b"1]",
    "no JSON in braces": b"{" + b"x" * MIB + b"}",
    "a control character in a text": b'{"a":"\x01' + b"x" * MIB + b'"}',
    "no UTF-8": b'{"a":"' + b"\xff" * MIB + b'"}',
    "a text that is not closed": b'{"a":"' + b"x" * MIB,
    "too deep": b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b" " * MIB,
    "more after the end": b'{"a":1} {' + b" " * MIB + b"}",
}


@pytest.mark.parametrize("body", HOPELESS.values(), ids=HOPELESS.keys())
def test_a_big_body_that_is_hopeless_is_not_looked_through(body: bytes) -> None:
    with pytest.raises(BadRequest):
        wire.decode_object(Unread(body))


@pytest.mark.parametrize("before", range(120))
def test_a_big_body_may_be_cut_anywhere_to_look_at_its_beginning(before: int) -> None:
    values: list[object] = [
        1,
        -2.5e-10,
        6.02e23,
        True,
        False,
        None,
        'x\\"\u00e9\u4e00\U0001f600',
        {"k": {}},
        [],
        0.5,
    ]
    for plain in (json.dumps(values), json.dumps(values, ensure_ascii=False)):
        body = b'{"a":"%b","b":%b,"c":"%b"}' % (
            b"x" * (wire._BIG - before),
            plain.encode(),
            b"x" * MIB,
        )
        assert wire.decode_object(body)["b"] == values


@pytest.mark.parametrize("before", range(wire._BIG - 410, wire._BIG + 10, 3))
def test_a_long_integer_is_found_wherever_it_stands(before: int) -> None:
    text = b'{"a":"%b","b":%b}' % (b"x" * (before - 12), b"9" * 400)
    assert text.index(b"9") == before
    with pytest.raises(BadRequest, match="too many digits"):
        wire.decode_object(text)
    assert len(wire.decode_object(text.replace(b"9", b"", 1))) == 2


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(st.text(max_size=5), json_values, max_size=6)
awkward = st.lists(
    st.sampled_from(
        ["{", "}", "[", "]", ",", ":", '"', '"a"', '"a":', "\\", '\\"', "\\u0061", "\\ud800", "1",
         "-", ".5", "e9", "e999", "null", "true", "NaN", " ", "\n", "\x00", "\ufeff", "é", "😀"]
    ),
    max_size=24,
).map("".join)  # fmt: skip


@given(
    st.binary(max_size=40) | awkward.map(str.encode) | awkward.map(lambda t: f"{{{t}}}".encode())
)
def test_whatever_is_accepted_reads_the_same_elsewhere(body: bytes) -> None:
    try:
        tree = wire.decode_object(body)
    except BadRequest:
        return
    strict = json.loads(body.decode(), object_pairs_hook=_no_duplicates)
    assert tree == strict
    assert json.loads(wire.encode(tree)) == tree


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


@given(objects, st.booleans())
def test_every_plain_object_is_accepted(tree: dict[str, Any], ascii_only: bool) -> None:
    body = json.dumps(tree, ensure_ascii=ascii_only).encode()
    assert wire.decode_object(body) == json.loads(body)


@given(objects, st.dictionaries(st.text(max_size=3), json_values, max_size=3))
def test_replacing_fields_keeps_every_other_value_byte_for_byte(
    tree: dict[str, Any], changes: dict[str, Any]
) -> None:
    sent = {name: json.dumps(value, indent=1).encode() for name, value in tree.items()}
    body = b"{%s}" % b" , ".join(json.dumps(k).encode() + b" :\t" + v for k, v in sent.items())
    after = wire.decode_as(wire.replace_fields(body, changes), dict[str, wire.Raw])
    for name, value in sent.items():
        if name not in changes:
            assert bytes(after[name]) == value
    for name, value in changes.items():
        if value is None:
            assert name not in after
        else:
            assert json.loads(bytes(after[name])) == value
    assert set(after) <= set(sent) | set(changes)


def test_numbers_keep_their_spelling_when_another_field_changes() -> None:
    body = b'{"seed": 1.0, "temperature":1E-1, "big":12345678901234567890123, "model":"a"}'
    assert wire.replace_fields(body, {"model": "b"}) == (
        b'{"seed":1.0,"temperature":1E-1,"big":12345678901234567890123,"model":"b"}'
    )


def test_order_is_kept_and_new_fields_come_last() -> None:
    assert wire.replace_fields(b'{"z":1,"a":2,"m":3}', {"a": 9, "b": 8, "m": None}) == (
        b'{"z":1,"a":9,"b":8}'
    )


@pytest.mark.parametrize("data", [b"{", b"\xff", b'"\xff"', b"[" * 100_000, b""])
def test_provider_json_that_makes_no_sense_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="JSON"):
        wire.decode(data)
    with pytest.raises(ValueError, match="JSON"):
        wire.decode_as(data, dict[str, int])


def test_provider_json_of_another_shape_is_a_value_error() -> None:
    assert wire.decode_as(b'{"a":1}', dict[str, int]) == {"a": 1}
    with pytest.raises(ValueError, match="another shape"):
        wire.decode_as(b'{"a":"x"}', dict[str, int])


def test_a_decoder_may_be_kept_and_a_schema_shown() -> None:
    assert wire.decoder(dict[str, int]).decode(b'{"a":1}') == {"a": 1}
    assert wire.json_schema(int) == {"type": "integer"}


HEAVY: dict[str, bytes] = {
    "runs of 399 digits": b'{"a":"' + (b"9" * 399 + b" ") * 20_000 + b'"}',
    "text like keys": b'{"a":"' + b'\\":' * 2_000_000 + b'"}',
    "escapes before a long number": b'{"a":"' + b'\\"' * 4_000_000 + b"9" * 400 + b'"}',
    "quotes and blanks": b'{"a":[' + b",".join([b'""' + b" " * 30] * 200_000) + b"]}",
}


@pytest.mark.parametrize("body", HEAVY.values(), ids=HEAVY.keys())
def test_no_body_is_slow_by_design(body: bytes) -> None:
    started = time.process_time()
    wire.decode_object(body)
    assert time.process_time() - started < 1.5, "8 MB took far more than linear time"


TEXTS: dict[str, bytes] = {
    "plain": b'{"a":"' + b"x" * (64 << 20) + b'"}',
    "digits": b'{"a":"' + b"9" * (16 << 20) + b'"}',
    "like keys": b'{"a":"' + b'\\":' * (5 << 20) + b'"}',
}


@pytest.mark.parametrize("body", TEXTS.values(), ids=TEXTS.keys())
def test_other_threads_go_on_while_a_big_body_is_searched(body: bytes) -> None:
    """One search through all of it would hold the interpreter, and the event loop with it."""
    turns = 0
    reading = threading.Thread(target=wire.decode_object, args=(body,))
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        reading.start()
        while reading.is_alive():
            turns += 1
            time.sleep(0)
        reading.join()
    finally:
        sys.setswitchinterval(before)
    assert turns > 20
