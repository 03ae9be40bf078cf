"""A secret shows itself in no way of printing, logging, copying or serialising it."""

import copy
import json
import pickle
import pprint
import traceback
from collections.abc import Callable

import msgspec
import pytest

from gateway.core.secret import Secret

VALUE = "sk-hunter2-and-more"
SECRET = Secret(VALUE, "env:OPENAI_API_KEY")


class Holder(msgspec.Struct):
    key: Secret


PRINTERS: dict[str, Callable[[Secret], str]] = {
    "str": str,
    "repr": repr,
    "f-string": lambda s: f"{s}",
    "f-string with a spec": lambda s: f"{s:>40}",
    "percent": lambda s: "%s %r" % (s, s),  # noqa: UP031 - an old way of printing is the subject
    "format": lambda s: format(s, "x"),
    "in a list": lambda s: str([s]),
    "in a struct": lambda s: repr(Holder(s)),
    "pprint": lambda s: pprint.pformat({"key": s}),
    "in an error": lambda s: "".join(traceback.format_exception(ValueError(s))),
}


@pytest.mark.parametrize("printed", PRINTERS.values(), ids=PRINTERS.keys())
def test_no_way_of_printing_shows_it(printed: Callable[[Secret], str]) -> None:
    text = printed(SECRET)
    assert "***" in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    "write", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, msgspec.json.encode]
)
def test_it_cannot_be_written_out_or_copied(write: Callable[[Secret], object]) -> None:
    with pytest.raises(TypeError):
        write(SECRET)


def test_it_has_no_dictionary_to_look_into() -> None:
    assert not hasattr(SECRET, "__dict__")


def test_it_is_revealed_on_purpose_only() -> None:
    assert SECRET.reveal() == VALUE
    assert SECRET.present
    assert SECRET.source == "env:OPENAI_API_KEY"


@pytest.mark.parametrize("empty", [None, ""])
def test_a_secret_that_is_not_there_names_its_source(empty: str | None) -> None:
    secret = Secret(empty, "env:OPENAI_API_KEY")
    assert not secret.present
    assert str(secret) == "***"
    with pytest.raises(LookupError, match="env:OPENAI_API_KEY is not set"):
        secret.reveal()


@pytest.mark.parametrize(
    ("secret", "lack", "cure"),
    [
        (Secret(None, "env:A_KEY"), "env:A_KEY is not set. Set it", "set A_KEY"),
        (
            Secret("", "file:/a", "is empty"),
            "file:/a is empty. Mend it",
            "mend file:/a, which is empty",
        ),
    ],
)
def test_it_says_why_it_is_not_there_and_what_to_do(secret: Secret, lack: str, cure: str) -> None:
    assert (secret.lack, secret.cure) == (lack, cure)
    assert SECRET.cure == ""
