"""The official OpenAI SDK as client, against a provider of either dialect, over real sockets."""

import asyncio
import json
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessageFunctionToolCall
from pydantic import BaseModel

from tests.fakes import answers
from tests.fakes.doors import Doors, open_doors
from tests.fakes.upstream import STALL, open_upstream

DIALECTS = ("openai", "anthropic")
HELLO: Any = [{"role": "user", "content": "Hello"}]
CALLS = [("call_1", "weather", {"city": "Paris"}), ("call_2", "weather", {"city": "Rome"})]
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9"
    "awAAAABJRU5ErkJggg=="
)


def client(doors: Doors, **options: Any) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=doors.url + "/v1", api_key="any", **options)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_text(dialect: str) -> None:
    async with (
        open_upstream([answers.whole(dialect)]) as up,
        open_doors(up, dialect) as doors,
        client(doors) as sdk,
    ):
        answer = await sdk.chat.completions.create(model=doors.model, messages=HELLO)
    assert answer.choices[0].message.content == "Hello."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (9, 4)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_stream(dialect: str) -> None:
    async with (
        open_upstream([answers.stream(dialect)]) as up,
        open_doors(up, dialect) as doors,
        client(doors) as sdk,
    ):
        chunks = [
            c
            async for c in await sdk.chat.completions.create(
                model=doors.model, messages=HELLO, stream=True
            )
        ]
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "Hello."
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(c.usage is None for c in chunks)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_two_parallel_tools(dialect: str, streamed: bool) -> None:
    script = answers.stream(dialect, (), CALLS) if streamed else answers.whole(dialect, None, CALLS)
    async with (
        open_upstream([script]) as up,
        open_doors(up, dialect) as doors,
        client(doors) as sdk,
    ):
        if streamed:
            async with sdk.chat.completions.stream(
                model=doors.model, messages=HELLO, tools=TOOLS
            ) as events:
                answer: Any = await events.get_final_completion()
        else:
            answer = await sdk.chat.completions.create(
                model=doors.model, messages=HELLO, tools=TOOLS
            )
    assert answer.choices[0].finish_reason == "tool_calls"
    got = []
    for call in answer.choices[0].message.tool_calls or []:
        assert isinstance(call, ChatCompletionMessageFunctionToolCall)
        got.append((call.id, call.function.name, json.loads(call.function.arguments)))
    assert got == CALLS
    sent = up.requests[0].json["tools"][0]
    assert (sent["function"] if dialect == "openai" else sent)["name"] == "weather"


class Place(BaseModel):
    city: str


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_json_schema_answer_is_parsed(dialect: str) -> None:
    script = [answers.whole(dialect, '{"city": "Paris"}')]
    async with open_upstream(script) as up, open_doors(up, dialect) as doors, client(doors) as sdk:
        answer = await sdk.chat.completions.parse(
            model=doors.model, messages=HELLO, response_format=Place
        )
    assert answer.choices[0].message.parsed == Place(city="Paris")
    sent = up.requests[0].json
    schema = (
        sent["response_format"]["json_schema"]
        if dialect == "openai"
        else sent["output_config"]["format"]
    )
    assert schema["schema"]["properties"]["city"]["type"] == "string"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_image_reaches_the_provider(dialect: str) -> None:
    image: Any = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PIXEL}}]}]
    async with (
        open_upstream([answers.whole(dialect)]) as up,
        open_doors(up, dialect) as doors,
        client(doors) as sdk,
    ):
        await sdk.chat.completions.create(model=doors.model, messages=image)
    [part] = up.requests[0].json["messages"][0]["content"]
    data = part["image_url"]["url"] if dialect == "openai" else part["source"]["data"]
    assert data == (PIXEL if dialect == "openai" else PIXEL.partition(",")[2])


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_unknown_model_is_a_typed_404(dialect: str) -> None:
    async with (
        open_upstream([answers.whole(dialect)]) as up,
        open_doors(up, dialect) as doors,
        client(doors) as sdk,
    ):
        with pytest.raises(openai.NotFoundError) as raised:
            await sdk.chat.completions.create(model="no-such-model", messages=HELLO)
    assert raised.value.code == "model_not_found"
    assert raised.value.request_id
    assert "no-such-model" not in raised.value.message
    assert not up.requests


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_429_is_retried_by_the_sdk_after_the_time_we_state(dialect: str) -> None:
    busy = answers.error(dialect, 429, "rate_limit_error", "Slow down.", **{"retry-after-ms": "20"})
    script = [busy, answers.whole(dialect)]
    async with open_upstream(script) as up, open_doors(up, dialect) as doors, client(doors) as sdk:
        answer = await sdk.chat.completions.create(model=doors.model, messages=HELLO)
    assert answer.choices[0].message.content == "Hello."
    assert len(up.requests) == 2


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_error_in_the_middle_of_a_stream_raises(dialect: str) -> None:
    broken = answers.stream(dialect, keep=3, then=[answers.mid_stream_error(dialect)])
    async with (
        open_upstream([broken]) as up,
        open_doors(up, dialect) as doors,
        client(doors) as sdk,
    ):
        stream = await sdk.chat.completions.create(model=doors.model, messages=HELLO, stream=True)
        with pytest.raises(openai.APIError) as raised:
            [chunk async for chunk in stream]
    assert raised.value.message


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_stream_cut_by_the_provider_raises(dialect: str) -> None:
    async with (
        open_upstream([answers.stream(dialect, keep=3)]) as up,
        open_doors(up, dialect) as doors,
        client(doors) as sdk,
    ):
        stream = await sdk.chat.completions.create(model=doors.model, messages=HELLO, stream=True)
        with pytest.raises(openai.APIError):
            [chunk async for chunk in stream]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_client_that_stops_reading_stops_the_provider(dialect: str) -> None:
    endless = answers.stream(dialect, keep=3, then=[STALL])
    async with (
        open_upstream([endless]) as up,
        open_doors(up, dialect) as doors,
        client(doors) as sdk,
    ):
        stream = await sdk.chat.completions.create(model=doors.model, messages=HELLO, stream=True)
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
            sdk.chat.completions.create(model=doors.model, messages=HELLO, stream=True)
        )
        await up.until_received()
        asking.cancel()
        await up.until_closed()


async def test_models_are_listed_and_found() -> None:
    async with (
        open_upstream([answers.chat_whole()]) as up,
        open_doors(up, "openai") as doors,
        client(doors) as sdk,
    ):
        listed = [model.id async for model in sdk.models.list()]
        assert doors.model in listed
        assert (await sdk.models.retrieve(doors.model)).id == doors.model
        with pytest.raises(openai.NotFoundError):
            await sdk.models.retrieve("no-such-model")
