"""The stage `prompt_cache`: what it passes on, and where it says that it can have no effect."""

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.catalogue import Catalogue, Model, Price
from gateway.core.chat import Endpoint
from gateway.core.notes import Verdict
from gateway.core.stage import compose
from gateway.stages.names import Names
from gateway.stages.prompt_cache import PromptCachePolicy
from gateway.stages.relay import RelayPolicy
from gateway.stages.when import When
from tests.fakes.limited import LimitedHouse
from tests.fakes.relay import House, nowhere

PRICE = Price(input=1, output=5, cache_write=1.25)
MODELS = {
    "claude": Model(provider="main", name="claude", price=PRICE),
    "unpriced": Model(provider="main", name="unpriced"),
    "gpt": Model(provider="other", name="gpt", price=Price(input=1, output=5)),
}
NAMES = Names(catalogue=Catalogue(models=MODELS), marked=frozenset({"main"}))


def said(policy: PromptCachePolicy, names: Names = NAMES) -> list[str]:
    problems = list(policy.check(names))
    assert {problem.severity for problem in problems} <= {"warning"}
    return [problem.what for problem in problems]


def test_where_claude_is_served_and_priced_nothing_is_said() -> None:
    assert said(PromptCachePolicy()) == []


def test_it_says_where_nobody_keeps_marked_prompts() -> None:
    (what,) = said(PromptCachePolicy(), replace(NAMES, marked=frozenset()))
    assert what.startswith("has no effect: no model is served by a provider of kind `anthropic`.")
    assert said(PromptCachePolicy(), replace(NAMES, marked=None)) == []


def test_it_says_where_no_request_of_its_kind_can_come() -> None:
    (what,) = said(PromptCachePolicy(when=When(endpoint=("embeddings", "count_tokens"))))
    assert what.startswith("has no effect: prompts are kept for chat and messages alone")
    assert said(PromptCachePolicy(when=When(endpoint=("chat", "embeddings")))) == []


def test_it_says_whose_writes_would_be_told_too_cheap() -> None:
    (what,) = said(PromptCachePolicy(ttl="1h"))
    assert what.startswith("`claude` has no price `cache_write_1h`")
    cheap = {"claude": replace(MODELS["claude"], price=Price(input=1, output=5))}
    (what,) = said(PromptCachePolicy(), replace(NAMES, catalogue=Catalogue(models=cheap)))
    assert what.startswith("`claude` has no price `cache_write`:")


@pytest.mark.parametrize(("endpoint", "ttl"), [("chat", "1h"), ("messages", "1h")])
async def test_the_provider_is_told_for_how_long(endpoint: Endpoint, ttl: str) -> None:
    house = House()
    stage = PromptCachePolicy(ttl="1h").build(LimitedHouse().tools)
    house.stage = _Both(stage, house.stage)
    await house.ask(endpoint=endpoint)
    assert house.provider.calls[0].prompt_cache == ttl
    assert house.notes.all(Verdict) == [Verdict("prompt_cache", "1h")]


async def test_requests_that_have_no_conversation_pass_by() -> None:
    house = House()
    house.stage = _Both(PromptCachePolicy().build(LimitedHouse().tools), house.stage)
    await house.ask(endpoint="count_tokens")
    assert house.provider.calls[0].prompt_cache is None
    assert house.notes.all(Verdict) == []


class _Both:
    """A relay with a stage before it."""

    def __init__(self, *stages: Any) -> None:
        self._chain = compose(stages, nowhere)

    async def __call__(self, exchange: Any, _proceed: Any) -> Any:
        return await self._chain(exchange)


def test_answers_are_the_same_with_it_and_without() -> None:
    assert not PromptCachePolicy.shapes_answers
    assert RelayPolicy.shapes_answers
