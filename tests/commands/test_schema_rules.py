"""`turnout schema` and `turnout check` agree: valid files made wrong in small ways, by chance.

What an editor marks, the check refuses; what the check refuses for its shape, an editor marks.
"""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no stubs

from gateway.commands.schema import schema_text
from gateway.documents import Invalid
from gateway.policy.setup import load_setup

FILES: dict[str, Any] = {
    "gateway": {
        "listen": "127.0.0.1:8080",
        "admin": "[::1]:8081",
        "admin_token": "env:TOKEN",
        "keys": {"alice": "env:ALICE"},
        "require_key": False,
        "limits": {"body": 4096, "idle": 5, "connections": 0},
        "providers": {
            "one": {
                "kind": "openai",
                "base_url": "http://127.0.0.1:1/v1",
                "headers": {"x-team": "ml"},
                "warmup": {"connections": 2, "prompt": "hello", "model": "m"},
                "concurrency": {"max": 5, "queue": 0},
            },
            "two": {"kind": "simulated", "latency": {"law": "fixed", "gap": 0.5}},
        },
        "state": {"kind": "sqlite"},
    },
    "models": {
        "models": {
            "small": {
                "provider": "one",
                "context": 8000,
                "price": {"input": 1, "output": 2.5},
                "capabilities": ["streaming", "tools"],
                "endpoints": ["chat"],
            },
            "large": {"provider": "two", "max_output": 100, "tier": "fast"},
        },
        "aliases": {"default": "small"},
    },
    "policy": {
        "description": "all that there is",
        "pipeline": [
            {
                "stage": "rate_limit",
                "when": {"tenant": ["alice"], "header": {"x-app": "a*"}, "tokens": {"above": 5}},
                "limits": [
                    {"requests": 60, "every": "1m", "burst": 10},
                    {"tokens": 1000, "per": ["tenant", "label:team"], "every": 60},
                    {"cost": 5.5, "each": "day", "zone": "UTC", "name": "daily"},
                    {"concurrent": 5, "per": []},
                ],
                "overflow": "wait",
                "default_price": {"input": 1, "output": 1},
            },
            {
                "stage": "failover",
                "targets": [
                    {"model": "small", "weight": 2, "params": {"temperature": 0}},
                    {"model": "large", "first_token": 5},
                ],
                "strategy": "weighted",
                "sticky": True,
                "attempts": 2,
            },
            {"stage": "relay", "mode": "buffered", "when": {"stream": False}},
        ],
        "tests": [
            {
                "name": "it answers",
                "given": {"request": {"model": "small"}, "time": "2026-11-21T12:00:00Z"},
                "expect": {"status": 200, "headers": {"x": None}},
            }
        ],
    },
    "tenants": {
        "on_revoke": "cut",
        "tenants": {
            "alice": {
                "policy": "default",
                "labels": {"team": "ml"},
                "models": ["small", "l*"],
                "limits": [{"requests": 5, "every": "1h", "per": ["user"]}],
                "priority": "low",
            },
            "bob": {},
        },
    },
}
PLACES = {
    "gateway": "config/gateway.yaml",
    "models": "config/models.yaml",
    "policy": "policies/default.yaml",
    "tenants": "policies/tenants.yaml",
}
BEYOND = re.compile(
    r"(there is|has) no such (model|policy|provider|time zone|tenant)"  # names that others give
    r"|there is no such moment"
    r"|is not set\.|this is the same key|has fewer than"  # what stands in the environment
    r"|can be reached from other machines|is where `listen` is|must be HOST:PORT|base URL|Port out"
    r"|is never reached|this never holds"  # what follows from several places together
    r"|counts the same as|this is the same target|a model has this name already"
    r"|no request can pass|at most a year|is not a header that can be set here"
    r"|cannot change|no limit"
)
"""Reasons that no schema can express: they need other files, other places, or arithmetic."""
ENVIRONMENT = {"TOKEN": "a-token-of-some-length", "ALICE": "a-key-of-some-length"}

Path_ = tuple[str | int, ...]


def places(tree: Any, at: Path_ = ()) -> Iterator[Path_]:
    yield at
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if is_list(tree) else ()
    for step, below in items:
        yield from places(below, (*at, step))


def is_list(tree: Any) -> bool:
    return isinstance(tree, list)


JUNK = st.sampled_from(
    [
        *(None, True, False, 0, 1, -1, 5, 2.5, -0.5, 10**13, "", "x", "1m", "0s", "9w", "env:X"),
        *("label:", "label:a", "tenant", "X-Team", "authorization", "UTC", "day", "ordered"),
        *("a" * 65, [], {}, ["x"], ["tenant", "tenant"], [5], {"x": "y"}, {"X": 1}, {"model": 1}),
    ]
)
FIELDS = st.sampled_from(
    [
        *("requests", "tokens", "cost", "concurrent", "every", "each", "zone", "burst", "per"),
        *("name", "when", "model", "prompt", "sticky", "strategy", "limits", "x", "stage", "kind"),
    ]
)
EDIT = st.tuples(st.integers(0, 999), st.sampled_from(["set", "del", "add", "twice"]), JUNK, FIELDS)


def edited(tree: Any, edits: list[tuple[int, str, Any, str]]) -> Any:
    tree = deepcopy(tree)
    for number, what, junk, field in edits:
        found = list(places(tree))
        at = found[number % len(found)]
        above, node = None, tree
        for step in at:
            above, node = node, node[step]
        if what == "add" and isinstance(node, dict):
            node[field] = deepcopy(junk)
        elif what == "twice" and is_list(node) and node and at[-1] != "capabilities":  # a set
            node.append(deepcopy(node[0]))
        elif above is not None and what == "del":
            del above[at[-1]]
        elif above is not None and what == "set":
            above[at[-1]] = deepcopy(junk)
    return tree


@cache
def validator(kind: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(schema_text(kind)))


def refusals(folder: Path, kind: str, tree: Any) -> list[str]:
    """What the check has against the file, but for what no schema can say."""
    for name, place in PLACES.items():
        (folder / place).parent.mkdir(exist_ok=True)
        (folder / place).write_text(json.dumps(tree if name == kind else FILES[name]))
    try:
        load_setup(folder / "config", folder / "policies", ENVIRONMENT)
    except Invalid as error:
        found = [p for p in error.problems if p.severity == "error"]
        return [p.text for p in found if p.file.endswith(PLACES[kind])]
    return []


@pytest.mark.parametrize("kind", FILES)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(edits=st.lists(EDIT, max_size=2))
def test_an_editor_marks_what_the_check_refuses_and_nothing_else(
    kind: str, edits: list[tuple[int, str, Any, str]], tmp_path: Path
) -> None:
    tree = edited(FILES[kind], edits)
    refused = refusals(tmp_path, kind, tree)
    marked = [
        f"{'.'.join(map(str, e.path))}: {e.message}" for e in validator(kind).iter_errors(tree)
    ]
    if not refused:
        assert marked == []
    elif not all(map(BEYOND.search, refused)):
        assert marked, refused


@pytest.mark.parametrize("kind", FILES)
def test_the_files_that_are_made_wrong_are_right(kind: str, tmp_path: Path) -> None:
    assert refusals(tmp_path, kind, FILES[kind]) == []
    assert validator(kind).is_valid(FILES[kind])
