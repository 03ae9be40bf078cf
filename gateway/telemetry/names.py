"""Label values, bounded: a metric must not grow with what callers or files say."""

from typing import Final

from gateway.telemetry.fold import OTHER

CAP: Final = 100
"""So many tenants, models, providers and codes get series of their own; the rest share `other`."""


class Names(dict[str, str]):
    """Gives the first CAP names back, and `other` for all that come later."""

    def __missing__(self, name: str) -> str:
        if len(self) >= CAP:
            return OTHER
        self[name] = name
        return name
