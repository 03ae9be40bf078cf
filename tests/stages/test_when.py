"""`when:`: for which requests a stage runs."""

import json
from typing import Any

import pytest

from gateway.core.catalogue import Catalogue, Model
from gateway.core.chat import Endpoint, parse_request
from gateway.core.exchange import Caller, Exchange
from gateway.core.notes import Notes, Verdict
from gateway.core.reply import Reply, Whole
from gateway.core.stage import Next, compose
from gateway.stages.when import Conditional, Range, When, predicate

CATALOGUE = Catalogue(
    models={name: Model(provider="p", name=name) for name in ("gpt-4o", "gpt-4o-mini", "llama")},
    aliases={"cheap": "gpt-4o-mini"},
)
ALICE = Caller(tenant="alice", labels={"team": "ml", "env": "prod"})
PICTURE = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}
CLAUDE_PICTURE = {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}}
TOOL = {"type": "function", "function": {"name": "f"}}


def exchange(
    endpoint: Endpoint = "chat",
    headers: dict[str, str] | None = None,
    content: object = "hi",
    **fields: Any,
) -> Exchange:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": content}], **fields}
    return Exchange(
        id="req-1",
        caller=ALICE,
        request=parse_request(endpoint, json.dumps(body).encode()),
        deadline=0.0,
        notes=Notes(),
        headers=headers or {},
    )


def holds(when: When, sent: Exchange) -> bool:
    return predicate(when, CATALOGUE)(sent)


HOLDING: list[tuple[When, Exchange]] = [
    (When(), exchange()),
    (When(tenant="alice"), exchange()),
    (When(tenant=("bob", "al*")), exchange()),
    (When(labels={"team": ("ops", "ml"), "env": "p*"}), exchange()),
    (When(model="gpt-4o"), exchange()),
    (When(model="gpt-*"), exchange(model="cheap")),
    (When(model="gpt-4o-mini"), exchange(model="cheap")),
    (When(model="cheap"), exchange(model="cheap")),
    (When(header={"x-team": "m*"}), exchange(headers={"x-team": "ml"})),
    (When(metadata={"user_id": ("u-*",)}), exchange(metadata={"user_id": "u-7"})),
    (
        When(metadata={"user_id": "u-7"}),
        exchange("messages", max_tokens=5, metadata={"user_id": "u-7"}),
    ),
    (When(endpoint="chat"), exchange()),
    (When(endpoint=("messages", "count_tokens")), exchange("messages")),
    (When(stream=True), exchange(stream=True)),
    (When(stream=False), exchange()),
    (When(tools=True), exchange(tools=[TOOL])),
    (When(tools=True), exchange(functions=[{"name": "f"}])),
    (When(tools=False), exchange(tools=[])),
    (When(image=True), exchange(content=[{"type": "text", "text": "a"}, PICTURE])),
    (When(image=True), exchange("messages", content=[CLAUDE_PICTURE])),
    (
        When(image=True),
        exchange("messages", content=[{"type": "tool_result", "content": [CLAUDE_PICTURE]}]),
    ),
    (
        When(image=True),
        exchange("messages", content=[{"type": "document", "source": {"content": [PICTURE]}}]),
    ),
    (When(image=True), exchange(content=[{"type": "input_image"}])),
    (When(image=False), exchange(content=[{"type": ["image"]}])),
    (When(image=False), exchange()),
    (When(tokens=Range(above=100)), exchange(content="x" * 400)),
    (When(tokens=Range(below=10)), exchange()),
    (When(tokens=Range(above=100, below=110), stream=False), exchange(content="x" * 400)),
]
FAILING: list[tuple[When, Exchange]] = [
    (When(tenant="bob"), exchange()),
    (When(labels={"team": "ops"}), exchange()),
    (When(labels={"team": "ml", "floor": "3"}), exchange()),
    (When(model="gpt-4o"), exchange(model="GPT-4o")),
    (When(model="gpt-4o"), exchange(model="cheap")),
    (When(model="cheap"), exchange(model="gpt-4o-mini")),
    (When(header={"x-team": "*"}), exchange()),
    (When(metadata={"user_id": "u-7"}), exchange()),
    (When(metadata={"user_id": "*"}), exchange(metadata={"user_id": 7})),
    (When(metadata={"user_id": "*"}), exchange(metadata="u-7")),
    (When(endpoint=("messages", "embeddings")), exchange()),
    (When(stream=True), exchange()),
    (When(tools=True), exchange()),
    (When(image=True), exchange(content=[{"type": "text", "text": "a"}, "odd"])),
    (When(image=False), exchange(content=[PICTURE])),
    (When(tokens=Range(above=104)), exchange(content="x" * 400)),
    (When(tokens=Range(below=104)), exchange(content="x" * 400)),
    (When(tenant="alice", stream=True), exchange()),
]


@pytest.mark.parametrize(("when", "sent"), HOLDING)
def test_a_condition_holds(when: When, sent: Exchange) -> None:
    assert holds(when, sent)


@pytest.mark.parametrize(("when", "sent"), FAILING)
def test_a_condition_does_not_hold(when: When, sent: Exchange) -> None:
    assert not holds(when, sent)


def test_embeddings_bring_neither_tools_nor_pictures() -> None:
    request = parse_request("embeddings", b'{"model":"llama","input":["a"]}')
    sent = Exchange(id="r", caller=ALICE, request=request, deadline=0.0, notes=Notes())
    assert holds(When(tools=False, image=False, endpoint="embeddings"), sent)


async def test_a_stage_that_is_not_meant_leaves_a_note_and_steps_aside() -> None:
    async def stage(_exchange: Exchange, _proceed: Next, /) -> Reply:
        return Whole(b"stage")

    async def last(_exchange: Exchange) -> Reply:
        return Whole(b"last")

    chain = compose([Conditional("cache", stage, lambda e: e.request.stream)], last)
    for streams, answer, notes in (
        (True, b"stage", []),
        (False, b"last", [Verdict("cache", "skipped")]),
    ):
        sent = exchange(stream=streams)
        reply = await chain(sent)
        assert isinstance(reply, Whole)
        assert reply.body == answer
        assert list(sent.notes) == notes
