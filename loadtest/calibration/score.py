"""The score that the runs here go by."""

from math import log1p
from typing import Final

LONGEST: Final = 100_000
"""Characters from which on all prompts score 1."""


def by_length(prompt: str) -> float:
    """Return 0 to 1 by the logarithm of the length: any score that orders prompts would do here."""
    return min(1.0, log1p(len(prompt)) / log1p(LONGEST))
