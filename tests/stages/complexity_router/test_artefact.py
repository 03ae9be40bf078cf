"""The file: read as it was written, or refused with its name and the cause."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.stages.complexity_router.artefact import (
    LARGEST,
    BadArtefact,
    encode_artefact,
    read_artefact,
    wording_weights,
)
from gateway.stages.complexity_router.features import asked_in, shape
from gateway.stages.complexity_router.model import Learned
from gateway.stages.complexity_router.ngrams import PLACES
from gateway.stages.complexity_router.training import train
from tests.stages.complexity_router.rows import examples

ARTEFACT = train(examples(520), lambda _: None)
TEXT = encode_artefact(ARTEFACT)


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "router.json"
    path.write_text(TEXT)
    assert read_artefact(path) == ARTEFACT


def test_it_is_small_and_holds_no_text_of_the_rows() -> None:
    assert len(TEXT) < 30_000
    assert "polynomial" not in TEXT
    assert "country" not in TEXT


def test_people_can_read_what_a_feature_weighs() -> None:
    model = json.loads(TEXT)["pairs"]["small|large"]
    assert model["features"]["maths words"]["weight"] > 0
    assert model["features"]["recall"]["weight"] < 0


def changed(path: str, value: Any) -> str:
    """The file with another value at a path of keys; `PAIR` is the model's."""
    artefact = json.loads(TEXT)
    holder = artefact
    *way, last = path.replace("PAIR", "pairs/small|large").split("/")
    for key in way:
        holder = holder[int(key) if key.isdigit() else key]
    if value is None:
        del holder[last]
    else:
        holder[int(last) if last.isdigit() else last] = value
    return json.dumps(artefact)


@pytest.mark.parametrize(
    ("path", "value", "cause"),
    [
        ("format", 2, "its format is 2, this version reads 1"),
        ("trained_on", None, "no artefact of `turnout router train`"),
        ("extra", 1, "no artefact of `turnout router train`"),
        ("PAIR/rows", "many", "no artefact of `turnout router train`"),
        ("PAIR/features/maths words", None, r"features are those of another version \(maths words"),
        ("PAIR/features/maths words/scale", -1, "a scale is below 0"),
        ("PAIR/rules/scale", -1, "a scale is below 0"),
        ("PAIR/learned_share", 1.5, "learned_share is not from 0 to 1"),
        ("PAIR/features/maths words/weight", 1e308, "a number is beyond 1e"),
        ("PAIR/knots", [], "knots do not rise"),
        ("PAIR/knots", [[1, 0], [1, 0]], "knots do not rise"),
        ("PAIR/knots", [[1, 1], [2, 0]], "knots do not rise"),
        ("PAIR/wording/weights", "AAAA", "wording.weights has 3 places, not 8,192"),
        ("PAIR/wording/weights", "*", "wording.weights is not base64"),
        ("PAIR/wording/scale", -1, "wording.scale is not a number from 0 to 1e"),
    ],
)
def test_what_is_wrong_in_it_is_named_with_the_file(
    path: str, value: Any, cause: str, tmp_path: Path
) -> None:
    file = tmp_path / "router.json"
    file.write_text(changed(path, value))
    with pytest.raises(BadArtefact, match=rf"router\.json: .*{cause}"):
        read_artefact(file)


def test_a_file_that_is_too_large_is_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "router.json"
    path.write_bytes(b" " * (LARGEST + 1))
    with pytest.raises(BadArtefact, match="larger than 4,194,304 bytes"):
        read_artefact(path)


@given(at=st.integers(0, len(TEXT) - 1), byte=st.binary(min_size=1, max_size=1))
def test_any_broken_byte_is_an_error_or_a_usable_artefact(
    at: int, byte: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("broken") / "router.json"
    data = TEXT.encode()
    path.write_bytes(data[:at] + byte + data[at + 1 :])
    try:
        artefact = read_artefact(path)
    except BadArtefact:
        return
    for model in artefact.pairs.values():
        scorer = Learned(model)
        looks = shape(asked_in("Prove it."))
        assert abs(scorer.gain(scorer.score(looks))) < 1e300


def test_a_byte_is_a_signed_weight() -> None:
    wording = ARTEFACT.pairs["small|large"].wording
    assert wording is not None
    assert max(map(abs, wording_weights(wording))) == 127
    told = type(wording)(1.0, b64encode(b"\xff\x7f" + bytes(PLACES - 2)).decode())
    assert wording_weights(told)[:3] == [-1, 127, 0]
