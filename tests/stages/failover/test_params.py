"""Parameters of targets that are likely to be slips, or that are in vain, are told."""

from typing import Any

import msgspec
import pytest

from gateway.core.catalogue import Catalogue
from tests.fakes.failover import MODELS
from tests.stages.failover.test_policy import NAMES, problems

KINDS = msgspec.structs.replace(
    NAMES, catalogue=Catalogue(models=MODELS), kinds={"a": "openai", "b": "anthropic"}
)


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("temprature", "temperature"),
        ("max_token", "max_tokens"),
        ("reasoning_efort", "reasoning_effort"),
        ("stop_sequence", "stop_sequences"),
    ],
)
def test_a_slip_is_told_with_what_was_meant(slip: str, meant: str) -> None:
    [(at, what, severity)] = problems({"model": "one", "params": {slip: 1}})
    assert (at, severity) == (f"targets.0.params.{slip}", "warning")
    assert f"Did you mean `{meant}`?" in what


def test_fallbacks_are_looked_at_too() -> None:
    fallbacks: Any = [{"model": "two", "params": {"sed": 1}}]
    [(at, *_)] = problems({"model": "one"}, on_context_window=fallbacks)
    assert at == "on_context_window.0.params.sed"


@pytest.mark.parametrize(
    "params",
    [
        {"temperature": 0.5, "seed": 7, "logprobs": True, "response_format": {"type": "text"}},
        {"thinking": {"type": "disabled"}, "top_k": 5, "stop_sequences": ["x"]},
        {"min_p": 0.1, "chat_template_kwargs": {}, "repetition_penalty": 1.1},
        {"left_out": None},
    ],
)
def test_what_some_provider_knows_is_right(params: Any) -> None:
    assert not problems({"model": "one", "params": params}, names=KINDS)


@pytest.mark.parametrize("name", ["logprobs", "verbosity", "min_p"])
def test_what_anthropic_has_nothing_like_is_told(name: str) -> None:
    given: Any = {"params": {name: 1}}
    [(at, what, severity)] = problems({"model": "two", **given}, names=KINDS)
    assert (at, severity) == (f"targets.0.params.{name}", "warning")
    assert what.startswith("`b` speaks Anthropic's API")
    assert problems({"model": "one", "provider": "b", **given}, names=KINDS)
    assert not problems({"model": "two", "provider": "a", **given}, names=KINDS)


@pytest.mark.parametrize("name", ["seed", "stop", "max_completion_tokens", "thinking"])
def test_what_is_translated_for_anthropic_is_right(name: str) -> None:
    assert not problems({"model": "two", "params": {name: 1}}, names=KINDS)


def test_a_longer_answer_than_the_model_can_give_is_told() -> None:
    [(at, what, severity)] = problems({"model": "short", "params": {"max_tokens": 501}})
    assert (at, severity) == ("targets.0.params.max_tokens", "warning")
    assert what == "`short` answers with 500 at most: every request skips this target."
    assert not problems({"model": "short", "params": {"max_tokens": 500}})
