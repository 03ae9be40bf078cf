"""The official Anthropic SDK as client, against a provider of either dialect, over real sockets."""

import asyncio
from typing import Any

import anthropic
import pytest

from tests.contract.test_openai_sdk import CALLS, DIALECTS, PIXEL
from tests.fakes import answers
from tests.fakes.doors import Doors, open_doors
from tests.fakes.upstream import STALL, json_reply, open_upstream

HELLO: Any = [{"role": "user", "content": "Hello"}]
TOOLS: Any = [
    {
        "name": "weather",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
]


def client(doors: Doors, **options: Any) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=doors.url, api_key="any", **options)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_text(dialect: str) -> None:
    async with (
        open_upstream([answers.whole(dialect)]) as up,
        open_doors(up, dialect) as doors,
        client(doors) as sdk,
    ):
        answer = await sdk.messages.create(model=doors.model, max_tokens=50, messages=HELLO)
    [block] = answer.content
    assert block.type == "text"
    assert block.text == "Hello."
    assert answer.stop_reason == "end_turn"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (9, 4)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_stream(dialect: str) -> None:
    async with (
        open_upstream([answers.stream(dialect)]) as up,
        open_doors(up, dialect) as doors,
        client(doors) as sdk,
        sdk.messages.stream(model=doors.model, max_tokens=50, messages=HELLO) as events,
    ):
        text = "".join([piece async for piece in events.text_stream])
        final = await events.get_final_message()
    assert text == "Hello."
    assert final.stop_reason == "end_turn"
    assert (final.usage.input_tokens, final.usage.output_tokens) == (9, 4)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_two_parallel_tools(dialect: str, streamed: bool) -> None:
    script = answers.stream(dialect, (), CALLS) if streamed else answers.whole(dialect, None, CALLS)
    asked: Any = {"max_tokens": 50, "messages": HELLO, "tools": TOOLS}
    async with (
        open_upstream([script]) as up,
        open_doors(up, dialect) as doors,
        client(doors) as sdk,
    ):
        if streamed:
            async with sdk.messages.stream(model=doors.model, **asked) as events:
                answer: Any = await events.get_final_message()
        else:
            answer = await sdk.messages.create(model=doors.model, **asked)
    assert answer.stop_reason == "tool_use"
    assert [(b.id, b.name, b.input) for b in answer.content] == CALLS
    sent = up.requests[0].json["tools"][0]
    assert (sent["function"] if dialect == "openai" else sent)["name"] == "weather"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_json_schema_reaches_the_provider(dialect: str) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "additionalProperties": False,
    }
    config: Any = {"format": {"type": "json_schema", "schema": schema}}
    script = [answers.whole(dialect, '{"city": "Paris"}')]
    async with open_upstream(script) as up, open_doors(up, dialect) as doors, client(doors) as sdk:
        answer = await sdk.messages.create(
            model=doors.model, max_tokens=50, messages=HELLO, output_config=config
        )
    assert answer.content[0].type == "text"
    sent = up.requests[0].json
    got = (
        sent["response_format"]["json_schema"]
        if dialect == "openai"
        else sent["output_config"]["format"]
    )
    assert got["schema"] == schema


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_image_reaches_the_provider(dialect: str) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL.partition(",")[2]}
    image: Any = [{"role": "user", "content": [{"type": "image", "source": source}]}]
    async with (
        open_upstream([answers.whole(dialect)]) as up,
        open_doors(up, dialect) as doors,
        client(doors) as sdk,
    ):
        await sdk.messages.create(model=doors.model, max_tokens=50, messages=image)
    [part] = up.requests[0].json["messages"][0]["content"]
    assert (part["image_url"]["url"] if dialect == "openai" else part["source"]) == (
        PIXEL if dialect == "openai" else source
    )


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_unknown_model_is_a_typed_404(dialect: str) -> None:
    async with (
        open_upstream([answers.whole(dialect)]) as up,
        open_doors(up, dialect) as doors,
        client(doors) as sdk,
    ):
        with pytest.raises(anthropic.NotFoundError) as raised:
            await sdk.messages.create(model="no-such-model", max_tokens=50, messages=HELLO)
    assert isinstance(raised.value.body, dict)
    assert raised.value.body["error"]["type"] == "not_found_error"
    assert raised.value.request_id
    assert not up.requests


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_429_is_retried_by_the_sdk_after_the_time_we_state(dialect: str) -> None:
    busy = answers.error(dialect, 429, "rate_limit_error", "Slow down.", **{"retry-after-ms": "20"})
    script = [busy, answers.whole(dialect)]
    async with open_upstream(script) as up, open_doors(up, dialect) as doors, client(doors) as sdk:
        answer = await sdk.messages.create(model=doors.model, max_tokens=50, messages=HELLO)
    assert answer.content[0].type == "text"
    assert len(up.requests) == 2


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_error_in_the_middle_of_a_stream_raises(dialect: str) -> None:
    broken = answers.stream(dialect, keep=3, then=[answers.mid_stream_error(dialect)])
    async with (
        open_upstream([broken]) as up,
        open_doors(up, dialect) as doors,
        client(doors) as sdk,
    ):
        stream = await sdk.messages.create(
            model=doors.model, max_tokens=50, messages=HELLO, stream=True
        )
        with pytest.raises(anthropic.APIStatusError):
            [event async for event in stream]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_stream_cut_by_the_provider_raises(dialect: str) -> None:
    async with (
        open_upstream([answers.stream(dialect, keep=3)]) as up,
        open_doors(up, dialect) as doors,
        client(doors) as sdk,
    ):
        stream = await sdk.messages.create(
            model=doors.model, max_tokens=50, messages=HELLO, stream=True
        )
        with pytest.raises(anthropic.APIStatusError):
            [event async for event in stream]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_client_that_stops_reading_stops_the_provider(dialect: str) -> None:
    endless = answers.stream(dialect, keep=3, then=[STALL])
    async with (
        open_upstream([endless]) as up,
        open_doors(up, dialect) as doors,
        client(doors) as sdk,
    ):
        stream = await sdk.messages.create(
            model=doors.model, max_tokens=50, messages=HELLO, stream=True
        )
        async for _ in stream:
            break
        await stream.close()
        await up.until_closed()


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_client_that_gives_up_before_the_first_token_stops_the_provider(
    dialect: str,
) -> None:
    async with (
        open_upstream([answers.stream(dialect, keep=0, then=[STALL])]) as up,
        open_doors(up, dialect) as doors,
        client(doors) as sdk,
    ):
        asking = asyncio.create_task(
            sdk.messages.create(model=doors.model, max_tokens=50, messages=HELLO, stream=True)
        )
        await up.until_received()
        asking.cancel()
        await up.until_closed()


@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
@pytest.mark.parametrize("header", ["x-api-key", "bearer"])
async def test_both_versions_and_both_ways_to_send_the_key(version: str, header: str) -> None:
    auth: Any = {"auth_token": "k"} if header == "bearer" else {"api_key": "k"}
    async with (
        open_upstream([answers.message_whole()]) as up,
        open_doors(up, "anthropic", key="k") as doors,
        anthropic.AsyncAnthropic(
            base_url=doors.url, default_headers={"anthropic-version": version}, **auth
        ) as sdk,
    ):
        answer = await sdk.messages.create(model=doors.model, max_tokens=5, messages=HELLO)
    assert answer.id == "msg_1"
    assert up.requests[0].headers["anthropic-version"] == version


async def test_tokens_are_counted_by_the_provider_or_estimated_and_marked() -> None:
    async with (
        open_upstream([json_reply({"input_tokens": 11})]) as up,
        open_doors(up, "anthropic") as doors,
        client(doors) as sdk,
    ):
        counted = await sdk.messages.count_tokens(model=doors.model, messages=HELLO)
    assert counted.input_tokens == 11
    async with (
        open_upstream([answers.chat_whole()]) as up,
        open_doors(up, "openai") as doors,
        client(doors) as sdk,
    ):
        raw = await sdk.messages.with_raw_response.count_tokens(model=doors.model, messages=HELLO)
    assert (await raw.parse()).input_tokens > 0
    assert raw.headers["x-turnout-degraded"] == "estimated-tokens"
    assert not up.requests
