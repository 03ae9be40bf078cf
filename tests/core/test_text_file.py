"""A file that a YAML file names."""

import msgspec
import pytest

from gateway.core.text_file import TextFile, plain


def test_two_are_equal_when_name_and_text_are() -> None:
    one = TextFile("a.json", "{}")
    assert one == TextFile("a.json", "{}")
    assert {one, TextFile("a.json", "{}")} == {one}
    assert one != TextFile("a.json", "[]")
    assert one != "a.json"


def test_what_it_holds_is_part_of_a_policys_version() -> None:
    built = [msgspec.to_builtins([TextFile("a", text)], enc_hook=plain) for text in ("x", "y")]
    assert built == [[["a", "x"]], [["a", "y"]]]
    with pytest.raises(NotImplementedError):
        plain(object())
