"""A row comes back as it was, or is seen to be damaged: never as something else."""

from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.reply import Usage
from gateway.state.answer_rows import Damaged, pack, unpack
from tests.fakes.kept import VECTOR, answer

texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(
    st.binary(),
    texts,
    st.none() | st.builds(Usage, st.integers(0, 1 << 60)),
    st.lists(st.tuples(texts, texts)).map(tuple),
    st.floats(0, 1e12),
)
def test_whatever_is_packed_comes_back_the_same(
    body: bytes, question: str, usage: Usage | None, context: tuple[tuple[str, str], ...], at: float
) -> None:
    kept = answer(
        1, body=body, question=question, usage=usage, context=context, stored=at, tags=(question,)
    )
    assert unpack(pack(kept)) == kept


def test_b11_a_flipped_bit_anywhere_is_seen() -> None:
    row = pack(answer(1, vector=VECTOR[:40]))
    for place in range(len(row)):
        for bit in range(8):
            flipped = bytearray(row)
            flipped[place] ^= 1 << bit
            with pytest.raises(Damaged):
                unpack(bytes(flipped))


def test_b11_a_row_that_was_cut_or_lengthened_is_seen() -> None:
    row = pack(answer(1))
    for length in range(len(row)):
        with pytest.raises(Damaged):
            unpack(row[:length])
    with pytest.raises(Damaged):
        unpack(row + b"\x00")


def test_a_row_of_another_version_is_damaged_though_its_checksum_is_right() -> None:
    body = b"\x81\xa2id\xa1x"
    with pytest.raises(Damaged, match="of this version"):
        unpack(b"answer1\n" + blake2b(body, digest_size=16).digest() + body)
