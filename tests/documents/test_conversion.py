"""Every misfit of a tree is found, at its exact place."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, Struct

from gateway.core.secret import Secret
from gateway.documents.conversion import MAX_MISFITS, Conversion
from gateway.documents.document import read_secret


class Remote(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="remote"):
    base_url: str
    key: Secret | None = None
    retries: Annotated[int, Meta(ge=0, le=9)] = 1
    headers: Mapping[Annotated[str, Meta(pattern="^[a-z-]+$")], int] = {}


class Nearby(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="nearby"):
    threads: int = 1


class File(Struct, frozen=True, forbid_unknown_fields=True):
    providers: Mapping[str, Remote | Nearby] = {}
    pipeline: tuple[Remote | Nearby, ...] = ()
    mode: Literal["direct", "replay"] = "direct"
    only: Nearby | None = None
    deep: Mapping[str, Mapping[str, tuple[int, ...]]] = {}
    targets: Annotated[tuple[Nearby, ...], Meta(min_length=1)] = (Nearby(),)


def convert(tree: Any) -> tuple[File | None, list[str]]:
    conversion = Conversion(tree, File, lambda _shape, given: read_secret(given, {}))
    return conversion.run(), [
        f"{'.'.join(map(str, path))}: {what}" for path, what in conversion.misfits
    ]


def test_a_fitting_tree_becomes_structs() -> None:
    assert convert({"pipeline": [{"kind": "nearby", "threads": 2}], "deep": {"a": {"b": [1]}}}) == (
        File(pipeline=(Nearby(threads=2),), deep={"a": {"b": (1,)}}),
        [],
    )


def test_a_field_that_is_not_known_may_have_any_name() -> None:
    """D18: msgspec quotes it with backticks, whatever it holds."""
    _, said = convert({"only": {"kind": "nearby", "a`b` c": 1}})
    assert said == ["only.a`b` c: there is no such field. Known: `threads`."]


def test_every_misfit_is_found_in_one_pass() -> None:
    tree = {
        "mode": "drect",
        "providers": {
            "one": {"kind": "remoet", "base_url": "x"},
            "two": {"kind": "remote", "base_ulr": "x", "retries": 10, "key": "hunter2"},
            "three": {},
            "four": 3,
            "five": {"kind": "remote", "base_url": "x", "headers": {"a": 1, "b": "x", "C": 2}},
            "six": {"kind": "remote", "base_url": None},
            "fine": {"kind": "nearby"},
        },
        "modes": 3,
        "only": {"kind": "nearbi"},
        "deep": {"a": {"b": [1, "x", 2, None, 3]}, "c": 3},
    }
    result, said = convert(tree)
    assert result == File(  # what fits is still there to be looked at
        providers={"fine": Nearby(), "five": Remote(base_url="x", headers={"a": 1})},
        only=Nearby(),
        deep={"a": {"b": (1, 2, 3)}},
    )
    assert sorted(said) == [
        "deep.a.b.1: this must be a whole number, not text.",
        "deep.a.b.3: this must be a whole number, not nothing.",
        "deep.c: this must be a mapping, not a whole number.",
        "mode: there is no such value. Did you mean `direct`?",
        "modes: there is no such field. Did you mean `mode`?",
        "only.kind: there is no such value. Did you mean `nearby`?",
        "providers.five.headers.C: this must be text matching regex '^[a-z-]+$'.",
        "providers.five.headers.b: this must be a whole number, not text.",
        "providers.four: this must be a mapping, not a whole number.",
        "providers.one.kind: there is no such value. Did you mean `remote`?",
        "providers.six.base_url: this must be text, not nothing.",
        "providers.three: `kind` is missing. Known: `nearby`, `remote`.",
        "providers.two.base_ulr: there is no such field. Did you mean `base_url`?",
        (
            "providers.two.key: a secret stays out of this file: write env:NAME or file:/path, "
            "not the secret itself."
        ),
        "providers.two.retries: this must be a whole number <= 9.",
        "providers.two: `base_url` is missing.",
    ]
    assert "fine" in tree["providers"]  # type: ignore[operator]  # the tree itself stays as it was


def test_items_of_a_list_keep_their_numbers_when_earlier_ones_are_bad() -> None:
    bad = [{"kind": "nearby", "threads": "x"}, 3, {"kind": "nearby"}, {"kind": "nearby", "q": 3}, 4]
    assert convert({"pipeline": bad})[1] == [
        "pipeline.0.threads: this must be a whole number, not text.",
        "pipeline.1: this must be a mapping, not a whole number.",
        "pipeline.3.q: there is no such field. Known: `threads`.",
        "pipeline.4: this must be a mapping, not a whole number.",
    ]


def test_of_a_list_that_bad_items_left_empty_only_the_items_are_told() -> None:
    _, said = convert({"targets": [{"kind": "nearby", "thread": 1}, {"kind": "nearby", "x": 2}]})
    assert [what.partition(":")[0] for what in said] == ["targets.0.thread", "targets.1.x"]
    _, said = convert({"targets": [7, "x"]})
    assert said == [
        "targets.0: this must be a mapping, not a whole number.",
        "targets.1: this must be a mapping, not text.",
    ]
    assert convert({"targets": []})[1] == ["targets: this must be a list of length >= 1."]


@pytest.mark.parametrize("tree", [[1], 3, "text"])
def test_a_tree_that_is_no_mapping_says_so(tree: object) -> None:
    result, (said,) = convert(tree)
    assert result is None
    assert said.startswith(": this must be a mapping, not ")


def test_it_tells_what_is_left_out_and_where_the_rest_stood() -> None:
    tree = {"pipeline": [3, {"kind": "nearby"}], "only": {"kind": "nearby", "q": 1}, "mod": 2}
    conversion = Conversion(tree, File, lambda shape, _given: shape)
    assert conversion.run() == File(pipeline=(Nearby(),), only=Nearby())
    assert sorted(conversion.lost) == [("mod",), ("only", "q"), ("pipeline", 0)]
    assert conversion.torn == {(), ("only",)}
    assert conversion.original(("pipeline", 0, "threads")) == ("pipeline", 1, "threads")


def test_a_field_missing_at_the_top_is_reported_there() -> None:
    class Needs(Struct):
        models: int

    conversion = Conversion({}, Needs, lambda shape, _given: shape)
    assert conversion.run() is None
    assert conversion.misfits == [((), "`models` is missing.")]


def test_misfits_are_bounded() -> None:
    result, said = convert({f"field_{number}": 1 for number in range(200)})
    assert result is None
    assert len(said) == MAX_MISFITS
