"""B03 and B04: whatever two requests differ in, they do not share an answer."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.core.catalogue import Catalogue, Model, Target
from gateway.core.chat import parse_request
from gateway.core.exchange import Caller, Exchange, Route
from gateway.core.notes import Notes
from gateway.core.wire import encode
from gateway.stages.semantic_cache.scope import Scopes

MODELS = {"fast": Model(provider="acme", name="fast"), "slow": Model(provider="acme", name="slow")}
CATALOGUE = Catalogue(models=MODELS)
KEY = b"k" * 32
TEXT = "What is the capital of France?"
FIELDS: dict[str, Any] = {
    "model": "fast",
    "messages": [
        {"role": "system", "content": "You are terse."},
        {"role": "user", "content": TEXT},
    ],
    "temperature": 0.2,
    "top_p": 0.9,
    "seed": 7,
    "n": 1,
    "max_tokens": 100,
    "response_format": {"type": "text"},
    "tools": [{"type": "function", "function": {"name": "look"}}],
    "tool_choice": "auto",
    "user": "u-1",
}


def exchange(fields: dict[str, Any] = FIELDS, **more: Any) -> Exchange:
    plain = Exchange(
        id="req-1",
        caller=Caller(tenant="a", labels={"team": "x"}),
        request=parse_request("chat", encode(fields)),
        deadline=0.0,
        notes=Notes(),
        version="v1",
    )
    return replace(plain, **more)


def scopes(*, shared: bool = False, epoch: str = "", key: bytes = KEY) -> Scopes:
    return Scopes(key, CATALOGUE, shared=shared, epoch=epoch)


def digests(
    one: Exchange, by: Scopes | None = None, embedder: str = "e"
) -> tuple[bytes | str, ...]:
    by = by or scopes()
    raw = by.raw(one)
    asked = by.asked(one, raw, embedder)
    return raw, asked.key, asked.scope


def apart(one: tuple[bytes | str, ...], other: tuple[bytes | str, ...]) -> bool:
    return all(a != b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    "change",
    [
        {"model": "slow"},
        {"temperature": 0.3},
        {"temperature": None},
        {"top_p": 0.8},
        {"seed": 8},
        {"n": 2},
        {"max_tokens": 101},
        {"response_format": {"type": "json_object"}},
        {"tools": []},
        {"tools": [{"type": "function", "function": {"name": "find"}}]},
        {"tool_choice": "none"},
        {"user": "u-2"},
        {"stop": ["x"]},
        {"something_new": 1},
    ],
)
def test_b04_every_field_of_the_request_counts(change: dict[str, Any]) -> None:
    fields = {k: v for k, v in {**FIELDS, **change}.items() if v is not None}
    assert apart(digests(exchange()), digests(exchange(fields)))


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "system", "content": "You are wordy."}, {"role": "user", "content": TEXT}],
        [{"role": "developer", "content": "You are terse."}, {"role": "user", "content": TEXT}],
        [{"role": "user", "content": TEXT}],
        [*FIELDS["messages"][:1], {"role": "user", "content": "hi"}, *FIELDS["messages"][1:]],
        [*FIELDS["messages"][:1], {"role": "user", "name": "bob", "content": TEXT}],
        [*FIELDS["messages"][:1], {"role": "user", "content": [{"type": "text", "text": TEXT}]}],
    ],
)
def test_b04_the_system_prompt_and_all_earlier_turns_count(messages: list[Any]) -> None:
    assert apart(digests(exchange()), digests(exchange({**FIELDS, "messages": messages})))


@pytest.mark.parametrize(
    "change",
    [
        {"caller": Caller(tenant="b", labels={"team": "x"})},
        {"caller": Caller(tenant="a", labels={"team": "y"})},
        {"policy": "other"},
        {"version": "v2"},
        {"drop_params": True},
        {"headers": {"x-tier": "gold"}},
        {"corpora": ("handbook",)},
        {"route": Route((Target(MODELS["slow"], chosen=True),))},
    ],
)
def test_b04_who_asks_and_by_which_policy_counts(change: dict[str, Any]) -> None:
    assert apart(digests(exchange()), digests(exchange(**change)))


def test_b04_the_epoch_the_catalogue_and_the_key_count() -> None:
    one = digests(exchange())
    moved = {**MODELS, "fast": Model(provider="acme", name="fast", upstream="newer")}
    assert apart(one, digests(exchange(), scopes(epoch="2")))
    assert apart(one, digests(exchange(), scopes(key=b"x" * 32)))
    assert apart(one, digests(exchange(), Scopes(KEY, Catalogue(moved), shared=False, epoch="")))


def test_another_embedder_is_another_scope_for_what_is_near_only() -> None:
    (_, key, scope), (_, other_key, other_scope) = (digests(exchange(), embedder=e) for e in "ef")
    assert key == other_key
    assert scope != other_scope


def test_the_last_question_is_no_part_of_the_scope() -> None:
    other = [*FIELDS["messages"][:1], {"role": "user", "content": "Something else"}]
    _, key, scope = digests(exchange())
    _, other_key, other_scope = digests(exchange({**FIELDS, "messages": other}))
    assert scope == other_scope
    assert key != other_key


def test_how_an_answer_is_told_and_the_order_of_keys_do_not_count() -> None:
    shaped = {**dict(reversed(FIELDS.items())), "stream": True, "stream_options": {}}
    assert digests(exchange())[1:] == digests(exchange(shaped))[1:]


def test_what_the_cache_is_told_does_not_count() -> None:
    headers = {"x-turnout-cache": "refresh", "cache-control": "max-age=3"}
    assert digests(exchange()) == digests(exchange(headers=headers))


def test_tenants_share_only_where_the_policy_says_so() -> None:
    other = exchange(caller=Caller(tenant="b", labels={"team": "x"}))
    assert digests(exchange(), scopes(shared=True)) == digests(other, scopes(shared=True))
    named = exchange(caller=Caller(tenant="shared", labels={"team": "x"}))
    assert apart(digests(named), digests(named, scopes(shared=True)))


NAME = st.text(alphabet="ab:,|\x00\"'[]1", max_size=4)


NAMES = st.tuples(NAME, NAME, NAME)


@settings(max_examples=300)
@given(NAMES, NAMES)
def test_b03_no_two_lists_of_names_are_the_same_bytes(
    names: tuple[str, str, str], others: tuple[str, str, str]
) -> None:
    one, other = (
        digests(exchange(caller=Caller(tenant=tenant), policy=policy, version=version))
        for tenant, policy, version in (names, others)
    )
    assert (one == other) == (names == others)
    assert apart(one, other) == (names != others)


def test_b03_a_tenant_with_a_colon_is_not_the_scope_behind_it() -> None:
    one = exchange(caller=Caller(tenant="a"), policy="b:c")
    other = exchange(caller=Caller(tenant="a:b"), policy="c")
    assert apart(digests(one), digests(other))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=200)
@given(JSON, JSON)
def test_b04_any_two_values_of_a_field_are_apart(one: Any, other: Any) -> None:
    asked = [digests(exchange({**FIELDS, "logit_bias": value})) for value in (one, other)]
    if encode(one) != encode(other):
        same = _plain(one) == _plain(other)
        assert same or apart(*asked)
    else:
        assert asked[0] == asked[1]


def _plain(value: Any) -> Any:
    """A value that tells true from 1, whatever the order of its keys."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return type(value).__name__, value
