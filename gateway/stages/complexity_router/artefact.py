"""What training leaves: one small file of JSON that people can read and nothing runs from.

It holds numbers only: no text of the rows it was trained on, whose wording is hashed.
"""

from base64 import b64decode
from binascii import Error as NotBase64
from itertools import pairwise
from pathlib import Path
from typing import Final

from msgspec import Struct

from gateway.core import wire
from gateway.stages.complexity_router.features import NAMES
from gateway.stages.complexity_router.isotonic import Knot
from gateway.stages.complexity_router.ngrams import PLACES

FORMAT: Final = 1
LARGEST: Final = 4 << 20
"""Bytes of a file that is read."""
MOST_WEIGHT: Final = 127
_MOST: Final = 1e9
"""Of any number: with it, no score is anything but finite."""


class BadArtefact(ValueError):
    """The file is no artefact of this version; the text names the file and the cause."""


class Weight(Struct, frozen=True, forbid_unknown_fields=True):
    """What one feature adds to the gain: `weight` for each `scale` that it is above `mean`."""

    mean: float
    scale: float
    weight: float


class Wording(Struct, frozen=True, forbid_unknown_fields=True):
    """What hashed words and pairs of words add to the gain."""

    scale: float
    weights: str
    """A signed byte for each place, in base64; one step is worth `scale`."""


class RulesScale(Struct, frozen=True, forbid_unknown_fields=True):
    """How the rules' score becomes a gain, as far as they still count."""

    mean: float
    scale: float


class Measured(Struct, frozen=True, forbid_unknown_fields=True):
    """What the scores came to on rows that each was not trained on (5 folds)."""

    apgr: float | None
    cpt50: float | None
    cpt80: float | None
    length_apgr: float | None
    """Of the prompt's length alone, on the same rows."""


class Threshold(Struct, frozen=True, forbid_unknown_fields=True):
    """The score from which this share of the training rows would go to the stronger model."""

    share: float
    score: float


class PairModel(Struct, frozen=True, forbid_unknown_fields=True):
    """How much better the second model of one pair is expected to be than the first."""

    rows: int
    mean_gain: float
    learned_share: float
    """How much what was learned counts beside the rules: rows / (rows + 200)."""
    rules: RulesScale
    features: dict[str, Weight]
    wording: Wording | None
    knots: list[Knot]
    """What a score has come to: rising pairs of a score and a mean gain."""
    thresholds: list[Threshold]
    measured: Measured


class Artefact(Struct, frozen=True, forbid_unknown_fields=True):
    """All that was trained at once."""

    format: int
    trained_on: str
    """SHA-256 over the rows, in their order."""
    sources: dict[str, int]
    """How many rows each source had."""
    pairs: dict[str, PairModel]
    """By "weaker model|stronger model"."""


def encode_artefact(artefact: Artefact) -> str:
    """Return the file's text. Equal artefacts are equal bytes."""
    return wire.encode_pretty(artefact) + "\n"


def read_artefact(path: Path) -> Artefact:
    """Read a file. Raises BadArtefact, whatever it holds, and OSError when it cannot be read."""
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise BadArtefact(f"{path}: it is larger than {LARGEST:,} bytes")
    return decode_artefact(data, str(path))


def decode_artefact(data: bytes, path: str) -> Artefact:
    """Return what a file holds. Raises BadArtefact, which names `path`."""
    try:
        artefact = wire.decode_as(data, Artefact)
    except ValueError as error:
        raise BadArtefact(
            f"{path}: it is no artefact of `turnout router train`: {error}"
        ) from error
    if artefact.format != FORMAT:
        raise BadArtefact(f"{path}: its format is {artefact.format}, this version reads {FORMAT}")
    for name, model in artefact.pairs.items():
        if cause := _cause(model):
            raise BadArtefact(f"{path}: pairs.{name}: {cause}")
    return artefact


def wording_weights(wording: Wording) -> list[int]:
    """Return the steps of each place. Raises ValueError when there are not as many as places."""
    try:
        data = b64decode(wording.weights, validate=True)
    except NotBase64 as error:
        raise ValueError("wording.weights is not base64") from error
    if len(data) != PLACES:
        raise ValueError(f"wording.weights has {len(data):,} places, not {PLACES:,}")
    return [byte - 256 if byte > MOST_WEIGHT else byte for byte in data]


def _cause(model: PairModel) -> str:
    """Return why a model cannot be used, or nothing."""
    if set(model.features) != set(NAMES):
        other = sorted(set(model.features) ^ set(NAMES))
        return f"its features are those of another version ({', '.join(other[:3])} ...)"
    numbers = [model.mean_gain, model.learned_share, model.rules.mean, model.rules.scale]
    for each in model.features.values():
        numbers += (each.mean, each.scale, each.weight)
    numbers += [number for knot in model.knots for number in knot]
    numbers += [number for each in model.thresholds for number in (each.share, each.score)]
    if max(map(abs, numbers)) > _MOST:
        return f"a number is beyond {_MOST:g}"
    if not 0 <= model.learned_share <= 1:
        return "learned_share is not from 0 to 1"
    if model.rules.scale < 0 or any(each.scale < 0 for each in model.features.values()):
        return "a scale is below 0"
    rising = all(
        left[0] < right[0] and left[1] <= right[1] for left, right in pairwise(model.knots)
    )
    if not model.knots or not rising:
        return "knots do not rise"
    return _wording_cause(model.wording)


def _wording_cause(wording: Wording | None) -> str:
    if wording is None:
        return ""
    if not 0 <= wording.scale <= _MOST:
        return f"wording.scale is not a number from 0 to {_MOST:g}"
    try:
        wording_weights(wording)
    except ValueError as error:
        return str(error)
    return ""
