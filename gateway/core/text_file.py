"""A file beside a YAML file that this one names, as it was when both were read."""


class TextFile:
    """Its name and its text. Two are equal when both are."""

    __slots__ = ("name", "text")

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TextFile):
            return NotImplemented
        return (self.name, self.text) == (other.name, other.text)

    def __hash__(self) -> int:
        return hash((self.name, self.text))


def plain(value: object) -> list[str]:
    """Serve msgspec's `to_builtins`, which asks for types that it does not know."""
    if isinstance(value, TextFile):
        return [value.name, value.text]
    raise NotImplementedError(type(value))
