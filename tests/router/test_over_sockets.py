"""The router over real sockets: three upstreams, who gets what, and that the money adds up."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from gateway.core import wire
from gateway.stages.complexity_router.artefact import encode_artefact
from tests.fakes.gateway import OpenGateway, open_test_gateway
from tests.fakes.metered import ledger
from tests.fakes.raw_client import Answer as Reply
from tests.fakes.raw_client import connect, get, post
from tests.fakes.routed import EASY, HARD, PICTURE, TIERS
from tests.fakes.upstream import (
    Answer,
    Received,
    ScriptedUpstream,
    json_reply,
    open_upstream,
    sse_reply,
)
from tests.stages.complexity_router.test_scoring import NEIGHBOURS, artefact

ROUTER: Mapping[str, Any] = {
    "stage": "complexity_router",
    "tiers": TIERS,
    "target": {"shares": [0.6, 0.3, 0.1]},
    "rules": [
        {"name": "legal", "contains": "legal opinion", "tier": "complex"},
        {"name": "batch", "when": {"header": {"x-batch": "1"}}, "tier": "fast"},
    ],
}
PRICES = {"mini": (1, 2), "haiku": (5, 10), "sonnet": (20, 40)}
ABLE = ["streaming", "tools", "json_object", "json_schema"]
ALIASES = {
    "turnout/auto": "sonnet",
    "turnout/fast": "mini",
    "turnout/balanced": "haiku",
    "turnout/complex": "sonnet",
}
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {}}}]


def answer(request: Received) -> Answer:
    """Bill 10 tokens in and 5 out."""
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    asked = request.json
    head = {"id": "c", "created": 1, "model": asked["model"]}
    if asked.get("stream"):
        parts: list[dict[str, Any]] = [
            {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {"choices": [], "usage": usage},
        ]
        kind = "chat.completion.chunk"
        events = [{**head, "object": kind, **part} for part in parts]
        lines = [b"data: " + json.dumps(each).encode() + b"\n\n" for each in events]
        return sse_reply([*lines, b"data: [DONE]\n\n"])
    message = {"role": "assistant", "content": "Hi"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json_reply({**head, "object": "chat.completion", "choices": [choice], "usage": usage})


class Tiered(Struct):
    """A gateway with a tier at each of three upstreams."""

    running: OpenGateway
    upstreams: Mapping[str, ScriptedUpstream]

    async def ask(
        self, content: Any = EASY, headers: Mapping[str, str] | None = None, **fields: Any
    ) -> Reply:
        messages = [{"role": "user", "content": content}]
        body = {"model": "turnout/auto", "messages": messages, **fields}
        request = post(wire.encode(body), "/v1/chat/completions", **(headers or {}))
        async with asyncio.timeout(15), connect(self.running.gateway.port) as client:
            return await client.ask(request)

    async def tier(self, *content: Any, **more: Any) -> str:
        reply = await self.ask(*content, **more)
        assert reply.status == 200, reply.body
        return f"{reply.headers['x-turnout-tier']}: {reply.headers['x-turnout-route']}"

    async def page(self, path: str, *, admin: bool = False) -> str:
        gateway = self.running.gateway
        async with connect(gateway.admin_port if admin else gateway.port) as client:
            return (await client.ask(get(path))).body.decode()

    async def policies(self, reached: Callable[[Any], Any]) -> Any:
        """Return what is said of the policies once that is so."""
        async with asyncio.timeout(15):
            while not reached(
                said := json.loads(await self.page("/readyz", admin=True))["policies"]
            ):
                await asyncio.sleep(0.05)
        return said

    @property
    def data(self) -> Path:
        return self.running.log.parent / "data"


@asynccontextmanager
async def open_tiered(
    router: Mapping[str, Any] = ROUTER, *behind: Mapping[str, Any], before: Sequence[Any] = ()
) -> AsyncIterator[Tiered]:
    async with AsyncExitStack() as stack:
        upstreams = {
            name: await stack.enter_async_context(open_upstream(answer)) for name in PRICES
        }
        providers = {
            name: {"kind": "openai", "base_url": upstream.url}
            for name, upstream in upstreams.items()
        }
        models = {
            name: {
                "provider": name,
                "price": {"input": price[0], "output": price[1]},
                "capabilities": [*ABLE, "vision"] if name != "mini" else ABLE,
                "max_output": 100,
            }
            for name, price in PRICES.items()
        }
        opening = open_test_gateway(
            providers=providers,
            models=models,
            aliases=ALIASES,
            pipeline=[*before, router, *behind],
        )
        yield Tiered(await stack.enter_async_context(opening), upstreams)


def kinds(number: int) -> tuple[Any, dict[str, Any]]:
    """The request with this number: a third easy, a fifth hard, and some of each other kind."""
    variants: list[tuple[Any, dict[str, Any]]] = [
        (f"{EASY} {number}", {}),
        (f"{HARD} {number}", {}),
        (PICTURE, {}),
        (f"A legal opinion on {number}, please.", {}),
        (f"{EASY} {number}", {"stream": True}),
        (f"{HARD} {number}", {"model": "turnout/balanced"}),
        (f"{HARD} {number}", {"model": "mini"}),
        (f"{EASY} {number}", {}),
        (f"{HARD} {number}", {"stream": True}),
        (f"{EASY} {number}", {"model": "turnout/complex"}),
    ]
    return variants[number % len(variants)]


async def test_300_mixed_prompts_land_as_the_policy_says_and_the_money_adds_up() -> None:
    async with open_tiered() as tiered:
        turns = asyncio.Semaphore(20)

        async def one(number: int) -> Reply:
            content, more = kinds(number)
            async with turns:
                return await tiered.ask(content, **more)

        replies = await asyncio.gather(*map(one, range(300)))
        assert {reply.status for reply in replies} == {200}
        got = {name: len(up.requests) for name, up in tiered.upstreams.items()}
        # Of each ten: easy (2), easy streamed and the named model at mini; the picture and the
        # balanced one at haiku; two hard ones, the legal one and the complex one at sonnet.
        assert got == {"mini": 120, "haiku": 60, "sonnet": 120}
        billed = sum(got[name] * (10 * price[0] + 5 * price[1]) for name, price in PRICES.items())
        async with asyncio.timeout(10):
            while (sums := await asyncio.to_thread(ledger, tiered.data))["requests"][0] < 300:
                await asyncio.sleep(0.02)
        metrics = await tiered.page("/metrics", admin=True)
        events = [each for each in tiered.running.events() if "request_id" in each]
    assert sums["requests"][3] == billed
    by = Counter((event["tier"], event["tier_by"]) for event in events)
    assert by[None, None] == 30, "who names a model gets it"
    assert by["complex", "rule"] == by["balanced", "pin"] == by["complex", "pin"] == 30
    assert by["balanced", "fit"] == 30
    assert by["fast", "start"] == 90
    assert by["complex", "start"] == 60
    line = 'turnout_tier_requests_total{by="rule",policy="default",tier="complex"} 30.0'
    assert line in metrics


async def test_headers_explain_each_choice() -> None:
    async with open_tiered() as tiered:
        assert await tiered.tier(model="turnout/fast") == "fast: asked for"
        assert (await tiered.tier()) == "fast: rules: 0 of 200 prompts seen"
        assert (await tiered.tier(PICTURE)).endswith("; fast lacks vision")
        assert await tiered.tier("A legal opinion?") == "complex: rule legal"
        assert await tiered.tier(HARD, headers={"x-batch": "1"}) == "fast: rule batch"
        named = await tiered.ask(model="haiku")
        assert "x-turnout-tier" not in named.headers
        assert named.headers["x-turnout-model"] == "haiku"
        models = json.loads(await tiered.page("/v1/models"))
    assert {entry["id"] for entry in models["data"]} == {*PRICES, *ALIASES}


async def test_a_conversation_with_a_tool_loop_does_not_switch_in_the_middle() -> None:
    turns: list[dict[str, Any]] = [{"role": "user", "content": HARD}]
    async with open_tiered() as tiered:
        told = [await tiered.tier(messages=turns, tools=TOOLS)]
        for _ in range(5):
            turns += [
                {"role": "assistant", "content": None, "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "c1", "content": "A legal opinion."},
            ]
            told.append(await tiered.tier(messages=turns, tools=TOOLS))
        easy = "Name the capital cities of France, Spain, Italy, Norway and Poland."
        turns += [{"role": "assistant", "content": "Done."}, {"role": "user", "content": easy}]
        told.append(await tiered.tier(messages=turns, tools=TOOLS))
        assert len(tiered.upstreams["sonnet"].requests) == len(told)
    assert told[1:6] == ["complex: kept for a tool loop"] * 5
    assert told[6] == "complex: kept: 1 of 3 low turns (fast would do)"


async def test_a_session_is_told_by_its_header() -> None:
    session = {"x-session-id": "s-1"}
    async with open_tiered() as tiered:
        await tiered.ask(HARD, session)
        assert (await tiered.tier(EASY, session)).startswith("complex: kept")
        assert (await tiered.tier(EASY, {"x-session-id": "s-2"})).startswith("fast")


async def test_sessions_of_one_caller_share_the_cache() -> None:
    async with open_tiered(before=[{"stage": "semantic_cache"}]) as tiered:
        first, second = [await tiered.ask(EASY, {"x-session-id": each}) for each in ("a", "b")]
    assert first.headers["x-turnout-cache"] == "miss"
    assert second.headers["x-turnout-cache"] == "hit-exact"


async def test_behind_the_cache_and_before_failover_each_does_its_part() -> None:
    failover = {"stage": "failover", "targets": [{}, {"model": "haiku"}]}
    cache = {"stage": "semantic_cache"}
    async with open_tiered(ROUTER, failover, before=[cache]) as tiered:
        first, again = [await tiered.ask() for _ in range(2)]
        assert first.headers["x-turnout-route"] == "rules: 0 of 200 prompts seen; ordered"
        assert again.headers["x-turnout-cache"] == "hit-exact"
        assert "x-turnout-tier" not in again.headers
        tiered.upstreams["mini"].script = [json_reply({"error": {"message": "no"}}, status=500)]
        down = await tiered.ask("Who was the king of Spain in 1700?")
    assert (down.status, down.headers["x-turnout-model"]) == (200, "haiku")
    assert down.headers["x-turnout-tier"] == "fast"
    assert "; failover: mini upstream_" in down.headers["x-turnout-route"]


async def test_another_artefact_is_taken_into_use_and_a_broken_one_is_told() -> None:
    texts = [encode_artefact(artefact(*NEIGHBOURS, *more)) for more in ((), ("mini|sonnet",))]
    async with open_tiered() as tiered:
        folder = tiered.running.policies
        policy = json.dumps({"pipeline": [{**ROUTER, "artefact": "router.json"}]})
        await asyncio.to_thread((folder / "router.json").write_text, texts[0])
        await asyncio.to_thread((folder / "default.yaml").write_text, policy)
        versions = [(await tiered.policies(lambda said: said["changed"]))["version"]]
        assert (await tiered.tier()).startswith("fast: rules: 0 of 200")
        await asyncio.to_thread((folder / "router.json").write_text, texts[1])
        versions.append(
            (await tiered.policies(lambda said: said["version"] != versions[0]))["version"]
        )
        await asyncio.to_thread((folder / "router.json").write_text, "{}")
        said = await tiered.policies(lambda said: not said["ok"])
        assert said["version"] == versions[1]
        assert "router.json: it is no artefact of `turnout router train`" in str(said["problems"])
        assert (await tiered.tier()).startswith("fast: rules:")
