"""Rows of public benchmarks with the outcomes of two models, read from beside the checkout.

They are other people's: nothing of them is in this repository.
"""

import os
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from gateway.stages.complexity_router.labelled import Example, Row, example, parse_row

DEFAULT = Path(__file__).parents[2] / "../shared/data/router"
FOLDER = Path(os.environ.get("TURNOUT_ROUTER_DATA") or DEFAULT)
REQUIRED = os.environ.get("TURNOUT_ROUTER_DATA_REQUIRED") == "1"
REASON = "no labelled rows here: TURNOUT_ROUTER_DATA names their folder"
needs_rows = pytest.mark.skipif(not FOLDER.is_dir() and not REQUIRED, reason=REASON)
TRAINABLE = "dev.jsonl"
ONLY_TO_EVALUATE = "dev_eval_only_nc.jsonl"
"""CC BY-NC: nothing is trained on these."""


@cache
def examples(file: str = TRAINABLE) -> dict[str, list[Example]]:
    """The rows of a file with their features, by source."""
    found: dict[str, list[Example]] = defaultdict(list)
    for row in _rows(file):
        found[row.source].append(example(row))
    return dict(found)


@cache
def prompts(file: str = TRAINABLE) -> dict[str, list[str]]:
    """The prompts of a file, by source."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in _rows(file):
        found[row.source].append(row.prompt)
    return dict(found)


def _rows(file: str) -> list[Row]:
    return [parse_row(line) for line in (FOLDER / file).read_bytes().splitlines()]
