"""A text of any length and kind is read in a time that its length bounds."""

import pytest

from gateway.stages.semantic_cache.evidence import facts, unfit, veto
from gateway.stages.semantic_cache.evidence.facts import LONGEST

PIECES = (
    "a", "a ", "_", "a_", "1", "1.", "1,000,", "'", '"', "`", "a'", ";", "; ", " ", "\n", "\t", "/",
    "a/", ".", "-", "--a ", "U.", "aA", "()", "not ", "and ", "ß", "½", "é́", "$", "+1", "in a ",
)  # fmt: skip


@pytest.mark.timeout(20)  # milliseconds; what grows with the square of the length takes minutes
@pytest.mark.parametrize("piece", PIECES)
def test_a_hundred_kilobytes_of_anything_are_read(piece: str) -> None:
    text = (piece * 100_000)[:100_000]
    assert veto(facts(text), facts(text)) == ""
    assert unfit(text, truncated=False, languages=frozenset({"latin"})) == "truncated"
    unfit(text[:LONGEST], truncated=False, languages=frozenset({"latin"}))
    assert facts(text) == facts(text[:LONGEST])
