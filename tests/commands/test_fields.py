"""A struct's fields as a table."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from gateway.commands.fields import table


class Inner(Struct):
    a: int


class One(Struct, tag_field="kind", tag="one"):
    """The first kind."""

    needed: Annotated[str, Meta(description="What it is.")]
    share: Annotated[float, Meta(ge=0, le=1)] | None = None
    count: Annotated[int, Meta(gt=0)] = 3
    words: tuple[str, ...] = ()
    inner: Inner | None = None
    mode: Literal["a", "b"] | tuple[Literal["a", "b"], ...] = "a"


class Two(Struct, tag_field="kind", tag="two"):
    """The second kind."""

    others: tuple[One, ...] = ()


def test_every_struct_of_a_union_is_a_table_with_a_heading() -> None:
    text = table(One | Two)
    assert text == (
        "### one\n\nThe first kind.\n\n"
        "| field | what stands there | left out | meaning |\n"
        "|---|---|---|---|\n"
        "| `needed` | text | must be there | What it is. |\n"
        "| `share` | a number from 0 to 1 | - |  |\n"
        "| `count` | a whole number above 0 | `3` |  |\n"
        "| `words` | a list of text | - |  |\n"
        "| `inner` | {a} | - |  |\n"
        "| `mode` | `a`, `b` or a list | `a` |  |\n\n"
        "### two\n\nThe second kind.\n\n"
        "| field | what stands there | left out | meaning |\n"
        "|---|---|---|---|\n"
        "| `others` | a list | - |  |\n"
    )
