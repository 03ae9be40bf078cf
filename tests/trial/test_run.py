"""A policy's tests run through the real door and chain; what is not met is said with its line."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.policy.setup import Setup, load_setup
from gateway.trial.run import run_trials
from tests.fakes.gateway import FREE, write_config

MODELS = {
    "gpt-4o": {"provider": "openai", "price": FREE},
    "small": {"provider": "local", "price": FREE},
}
PROVIDERS = {
    "openai": {"kind": "openai", "api_key": "env:NOT_SET"},
    "local": {"kind": "simulated"},
}
TENANTS = {
    "alice": {"labels": {"team": "ml"}, "models": ["small"]},
    "bob": {"policy": "research"},
}
HEADERS = {"x-turnout-policy": "default", "x-turnout-cost": "0.*", "x-nothing": None}


async def problems(
    home: Path, *cases: dict[str, Any], pipeline: tuple[dict[str, Any], ...] = ()
) -> list[str]:
    setup = await asyncio.to_thread(load, home, cases, pipeline)
    return [problem.text for problem in await run_trials(setup)]


def load(
    home: Path, cases: tuple[dict[str, Any], ...], pipeline: tuple[dict[str, Any], ...]
) -> Setup:
    write_config(
        home,
        providers=PROVIDERS,
        models=MODELS,
        aliases={"cheap": "small"},
        settings={"keys": {"alice": "env:ALICE", "bob": "env:BOB"}},
    )
    tests = [{"name": f"case {i}", **case} for i, case in enumerate(cases)]
    policy = json.dumps({"pipeline": pipeline, "tests": tests})
    (home / "policies/default.yaml").write_text(policy)
    (home / "policies/research.yaml").write_text("pipeline: []\n")
    (home / "policies/tenants.yaml").write_text(json.dumps({"tenants": TENANTS}))
    return load_setup(home / "config", home / "policies", {"ALICE": "a", "BOB": "b"})


def case(expect: dict[str, Any], model: str = "gpt-4o", **given: Any) -> dict[str, Any]:
    request = {"model": model, **given.pop("request", {})}
    return {"given": {"request": request, **given}, "expect": expect}


ROUTER = {
    "stage": "complexity_router",
    "tiers": [{"name": "fast", "model": "small"}, {"name": "complex", "model": "gpt-4o"}],
    "target": {"shares": [0.5, 0.5]},
    "aliases": {"cheap": "auto"},
}


async def test_a_tier_is_expected_by_its_name(tmp_path: Path) -> None:
    met, unmet = case({"tier": "fast"}, "cheap"), case({"tier": "complex"}, "cheap")
    none = case({"tier": "fast"}, "small")
    assert await problems(tmp_path, met, unmet, none, pipeline=(ROUTER,)) == [
        "tests[1].expect.tier: expected `complex`, got `fast`. [case 1]",
        "tests[2].expect.tier: expected `fast`, got nothing. [case 2]",
    ]


@pytest.mark.parametrize(
    "met",
    [
        case({"status": 200, "model": "gpt-4o", "stages": {"relay": "ran"}, "headers": HEADERS}),
        case({"status": 200, "model": "small", "headers": {"x-turnout-route": "alias"}}, "cheap"),
        case({"status": 403, "code": "model_not_allowed"}, tenant="alice"),
        case({"status": 200, "model": "small"}, "cheap", tenant="alice"),
        case({"status": 404, "code": "model_not_found", "stages": {"relay": "ran"}}, "nope"),
        case({"status": 400, "code": "invalid_request"}, request={"messages": []}),
        case({"status": 502, "code": "upstream_refused_connection"}, providers={"openai": "down"}),
        case({"status": 429, "headers": {"retry-after": "*"}}, providers={"openai": "busy"}),
        case({"status": 502}, providers={"openai": "broken"}),
        case({"status": 200}, "small", providers={"openai": "down"}),
        case({"status": 200}, endpoint="messages"),
        case(
            {"status": 200, "headers": {"content-type": "text/event-stream*"}},
            request={"stream": True},
        ),
        case({"status": 200}, endpoint="count_tokens"),
        case({"headers": {"date": "Sat, 21 Nov 2026 08:00:*"}}, time="2026-11-21T08:00:00Z"),
    ],
)
async def test_what_is_so_is_no_problem(tmp_path: Path, met: dict[str, Any]) -> None:
    assert await problems(tmp_path, met) == []


@pytest.mark.parametrize(
    ("unmet", "said"),
    [
        (
            case({"status": 200, "code": ""}, providers={"openai": "busy"}),
            [
                "tests[0].expect.status: expected 200, got 429 rate_limit_exceeded. [case 0]",
                "tests[0].expect.code: expected nothing, got `rate_limit_exceeded`. [case 0]",
            ],
        ),
        (
            case({"model": "gpt-4o", "headers": {"x-turnout-route": "named"}}, "cheap"),
            [
                "tests[0].expect.model: expected `gpt-4o`, got `small`. [case 0]",
                "tests[0].expect.headers.x-turnout-route: expected `named`, got `alias`. [case 0]",
            ],
        ),
        (
            case({"stages": {"relay": "skipped"}, "headers": {"x-turnout-cost": None}}),
            [
                "tests[0].expect.stages.relay: expected `skipped`, got `ran`. [case 0]",
                (
                    "tests[0].expect.headers.x-turnout-cost: expected nothing, "
                    "got `0.000000`. [case 0]"
                ),
            ],
        ),
        (
            case({"stages": {"rely": "ran"}}, tenant="alise", providers={"opanai": "up"}),
            [
                "tests[0].given.tenant: there is no such tenant. Did you mean `alice`? [case 0]",
                (
                    "tests[0].given.providers.opanai: there is no such provider. "
                    "Did you mean `openai`? [case 0]"
                ),
                (
                    "tests[0].expect.stages.rely: this policy has no such stage. "
                    "Did you mean `relay`? [case 0]"
                ),
            ],
        ),
        (
            case({}, tenant="bob", time="2026-13-21T08:00:00Z"),
            [
                "tests[0].given.tenant: `bob` uses the policy `research`. [case 0]",
                "tests[0].given.time: there is no such moment. [case 0]",
            ],
        ),
    ],
)
async def test_what_is_not_so_is_said(
    tmp_path: Path, unmet: dict[str, Any], said: list[str]
) -> None:
    assert await problems(tmp_path, unmet) == said


async def test_conditions_are_tried_with_tenant_labels_and_headers(tmp_path: Path) -> None:
    buffered = {"stage": "relay", "mode": "buffered"}
    for_ml = {**buffered, "when": {"labels": {"team": "ml"}, "header": {"x-app": "batch*"}}}
    said = await problems(
        tmp_path,
        case({"stages": {"relay": "ran"}}, "small", tenant="alice", headers={"X-App": "batch-1"}),
        case({"stages": {"relay": "ran"}, "status": 200}, "small", tenant="alice"),
        pipeline=(for_ml, {"stage": "relay", "when": {"stream": True}}, {"stage": "relay"}),
    )
    assert said == []


async def test_a_slow_provider_costs_the_trial_no_time(tmp_path: Path) -> None:
    started = time.monotonic()
    expect = {"status": 504, "code": "deadline_exceeded"}
    slow = {"openai": "slow"}
    said = await problems(
        tmp_path,
        case({"status": 200}, providers=slow),
        case(expect, headers={"x-turnout-deadline-ms": "20000"}, providers=slow),
    )
    assert said == []
    assert time.monotonic() - started < 10
