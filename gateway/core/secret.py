"""A secret that cannot be printed by accident."""


class Secret:
    """A credential read from the environment or a file. `repr`, `str` and formats show `***`.

    `source` is where it comes from (`env:OPENAI_API_KEY`); `present` is false when it was not
    there, and then `missing` says why and `reveal` raises LookupError naming the source.
    """

    __slots__ = ("_value", "missing", "source")

    def __init__(self, value: str | None, source: str, missing: str = "is not set") -> None:
        self._value = value
        self.source = source
        self.missing = missing

    @property
    def present(self) -> bool:
        """Whether there is a value."""
        return bool(self._value)

    @property
    def lack(self) -> str:
        """Why it is not there and what to do, as a sentence that may go on: `, or ...`."""
        return f"{self.source} {self.missing}. {'Set' if self._variable else 'Mend'} it"

    @property
    def cure(self) -> str:
        """What to do so that it is there, in a few words; empty when it is."""
        if self.present:
            return ""
        if self._variable:
            return f"set {self._variable}"
        return f"mend {self.source}, which {self.missing}"

    @property
    def _variable(self) -> str:
        """The environment variable that holds it, empty when a file does."""
        place, _, name = self.source.partition(":")
        return name if place == "env" else ""

    def reveal(self) -> str:
        """Return the value, to be put on the wire and nowhere else."""
        if not self._value:
            raise LookupError(f"{self.source} {self.missing}")
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return "***"

    def __reduce__(self) -> str:
        raise TypeError("a secret is not serialised")
