"""Suggestions name what would have been accepted."""

from collections.abc import Mapping
from typing import Annotated, Literal

import pytest
from msgspec import Meta, Struct

from gateway.documents.diagnostic import KeyPath
from gateway.documents.shapes import allowed_values, field_names, suggest, title


class Left(Struct, tag_field="kind", tag="left"):
    size: int
    mood: Annotated[Literal["calm", "wild"], Meta(description="x")] = "calm"


class Right(Struct, tag_field="kind", tag="right"):
    colour: str


class Root(Struct):
    sides: Mapping[str, Left | Right] = {}
    order: tuple[Left | Right, ...] = ()
    plain: str = ""


class Named(Struct):
    people: Mapping[
        Annotated[str, Meta(pattern="^[a-z]+$", title="a name")],
        Annotated[str, Meta(pattern="^[a-z]+$", title="a word")],
    ] = {}
    plain: Annotated[str, Meta(pattern="^[a-z]+$")] = ""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ((), ["sides", "order", "plain"]),
        (("sides", "a"), ["size", "mood"]),
        (("sides", "b"), ["colour"]),
        (("sides", "untagged"), ["size", "mood", "colour"]),
        (("order", 0), ["colour"]),
        (("order", 9), ["size", "mood", "colour"]),
        (("plain",), []),
        (("plain", "x"), []),
        (("nothing", "x"), []),
    ],
)
def test_fields_are_those_of_the_struct_that_the_tree_names(
    path: KeyPath, expected: list[str]
) -> None:
    tree = {
        "sides": {"a": {"kind": "left"}, "b": {"kind": "right"}, "untagged": {}},
        "order": [{"kind": "right"}],
        "plain": "x",
    }
    assert field_names(Root, tree, path) == expected


def test_values_are_those_of_a_literal_or_the_tags_of_a_union() -> None:
    tree = {"sides": {"a": {"kind": "left"}, "odd": {"kind": "up"}}}
    assert allowed_values(Root, tree, ("sides", "a", "mood")) == ["calm", "wild"]
    assert allowed_values(Root, tree, ("sides", "odd", "kind")) == ["left", "right"]
    assert allowed_values(Root, tree, ("plain",)) == []


def test_a_pattern_is_told_in_words_for_values_and_for_keys() -> None:
    tree = {"people": {"a b": "x"}}
    assert title(Named, tree, ("people", "a b")) == "a word"
    assert title(Named, tree, ("people", "a b"), of_key=True) == "a name"
    assert title(Named, tree, ("plain",)) == ""


def test_a_near_name_is_suggested_and_otherwise_a_short_list() -> None:
    assert suggest("gtp-4o", ["gpt-4o", "gpt-4o-mini"]) == " Did you mean `gpt-4o`?"
    assert suggest("zzz", ["b", "a"]) == " Known: `a`, `b`."
    assert suggest("zzz", [f"model-{number}" for number in range(17)]) == ""
    assert suggest("zzz", []) == ""
